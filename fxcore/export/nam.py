"""`nam`: the file of Neural Amp Modeler's plug-ins and pedals (version 0.5.4, which all of them read).

JSON with one flat list of weights. LSTM: for each layer the rows of [W_ih | W_hh] (gates i, f, g, o),
the summed biases and the starting h and c; then the head. WaveNet: rechannel; for each layer the
convolution [out][in][k] and its bias, the mix-in of the dry, the pointwise residual and its bias;
then the head, its bias and `head_scale`. Players feed and expect full scale ±1, so our input and
output scales are folded into the weights.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from fxcore.errors import ExportError
from fxcore.export.base import Exporter, Playable
from fxcore.export.native import build_with
from fxcore.models import EffectModel
from fxcore.models.lstm import LstmNet
from fxcore.models.wavenet import WaveNet

VERSION = "0.5.4"


class NamExporter(Exporter):
    """LSTM and WaveNet models whose output is a regression."""

    kind: ClassVar[str] = "nam"
    extension: ClassVar[str] = ".nam"
    players: ClassVar[str] = "Neural Amp Modeler and compatible plug-ins and pedals"

    def refusal(self, model: EffectModel) -> str | None:
        spec = model.spec
        if not isinstance(model, LstmNet | WaveNet):
            return f"a .nam file holds lstm and wavenet models; this one is a {spec.kind}"
        if spec.output.kind != "regression":
            return f"a .nam file holds models with output regression; this one has {spec.output.kind}"
        return None

    def encode(self, playable: Playable) -> bytes:
        model = playable.model
        if isinstance(model, LstmNet):
            architecture, config, weights = "LSTM", _lstm_config(model), _lstm_weights(model)
        else:
            assert isinstance(model, WaveNet)
            architecture, config, weights = "WaveNet", _wavenet_config(model), _wavenet_weights(model)
        document = {
            "version": VERSION,
            "metadata": {"name": playable.facts.get("name", ""), "fxsearch": playable.facts},
            "architecture": architecture,
            "config": config,
            "weights": [float(w) for tensor in weights for w in tensor.detach().double().flatten()],
            "sample_rate": playable.sample_rate,
        }
        return json.dumps(document, sort_keys=True).encode()

    def decode(self, path: Path) -> Playable:
        document = _document(path)
        weights = _Reader(document["weights"], path)
        if document["architecture"] == "LSTM":
            model = _read_lstm(document["config"], weights, path)
        elif document["architecture"] == "WaveNet":
            model = _read_wavenet(document["config"], weights, path)
        else:
            raise ExportError(
                f"{path}: architecture {document['architecture']!r} is not read here; known: LSTM, WaveNet"
            )
        weights.expect_end()
        facts = document.get("metadata") or {}
        return Playable(model, int(document.get("sample_rate") or 48_000), facts.get("fxsearch", {}))


def _lstm_config(model: LstmNet) -> dict[str, Any]:
    return {"input_size": 1, "hidden_size": model.spec.hidden, "num_layers": model.spec.layers}


def _lstm_weights(model: LstmNet) -> Iterator[Tensor]:
    dry_scale, wet_scale = model.scale
    hidden, cell = model.initial_state()
    for i in range(model.spec.layers):
        from_input = getattr(model.lstm, f"weight_ih_l{i}")
        yield torch.cat(
            [from_input / dry_scale if i == 0 else from_input, getattr(model.lstm, f"weight_hh_l{i}")], dim=1
        )
        yield getattr(model.lstm, f"bias_ih_l{i}") + getattr(model.lstm, f"bias_hh_l{i}")
        yield hidden[0, i]
        yield cell[0, i]
    yield model.head.weight * wet_scale
    yield model.head.bias * wet_scale


def _wavenet_config(model: WaveNet) -> dict[str, Any]:
    spec = model.spec
    array = {
        "input_size": 1,
        "condition_size": 1,
        "head_size": 1,
        "channels": spec.channels,
        "kernel_size": spec.kernel,
        "dilations": list(spec.dilations),
        "activation": "Tanh",
        "gated": spec.gated,
        "head_bias": True,
    }
    return {"layers": [array], "head": None, "head_scale": float(model.scale[1])}


def _wavenet_weights(model: WaveNet) -> Iterator[Tensor]:
    dry_scale, wet_scale = model.scale
    yield model.rechannel.weight / dry_scale
    for layer in model.layers:
        yield layer.conv.weight
        yield layer.conv.bias
        yield layer.mixin.weight / dry_scale
        yield layer.residual.weight
        yield layer.residual.bias
    yield model.head.weight
    yield model.head.bias
    yield wet_scale


class _Reader:
    """Takes tensors off the flat list of weights."""

    def __init__(self, weights: Any, path: Path) -> None:
        try:
            self.flat = torch.tensor(weights, dtype=torch.float32)
        except (TypeError, ValueError):
            raise ExportError(f"{path}: 'weights' must be a list of numbers") from None
        self.path, self.at = path, 0

    def take(self, *shape: int) -> Tensor:
        """The next weights, of that shape."""
        count = int(torch.tensor(shape).prod())
        if self.at + count > len(self.flat):
            raise ExportError(f"{self.path}: 'weights' ends after {len(self.flat)} values, more are needed")
        self.at += count
        return self.flat[self.at - count : self.at].reshape(shape)

    def expect_end(self) -> None:
        """Raise where weights are left over."""
        if self.at != len(self.flat):
            raise ExportError(f"{self.path}: 'weights' has {len(self.flat)} values, {self.at} are needed")


def _read_lstm(config: dict[str, Any], weights: _Reader, path: Path) -> EffectModel:
    hidden, layers = int(config["hidden_size"]), int(config["num_layers"])
    held: dict[str, Tensor] = {"scale": torch.ones(2)}
    for i in range(layers):
        width = 1 if i == 0 else hidden
        rows = weights.take(4 * hidden, width + hidden)
        held[f"lstm.weight_ih_l{i}"], held[f"lstm.weight_hh_l{i}"] = rows[:, :width], rows[:, width:]
        held[f"lstm.bias_ih_l{i}"] = weights.take(4 * hidden)
        held[f"lstm.bias_hh_l{i}"] = torch.zeros(4 * hidden)
        weights.take(2 * hidden)  # h and c: our players settle them on silence instead
    held["head.weight"], held["head.bias"] = weights.take(1, hidden), weights.take(1)
    return build_with({"kind": "lstm", "layers": layers, "hidden": hidden}, held, path)


def _read_wavenet(config: dict[str, Any], weights: _Reader, path: Path) -> EffectModel:
    if len(config["layers"]) != 1:
        raise ExportError(
            f"{path}: a WaveNet of {len(config['layers'])} layer arrays is not read here; one is"
        )
    array = config["layers"][0]
    channels, kernel, gated = int(array["channels"]), int(array["kernel_size"]), bool(array["gated"])
    width = channels * (2 if gated else 1)
    held = {"rechannel.weight": weights.take(channels, 1, 1)}
    for i in range(len(array["dilations"])):
        held[f"layers.{i}.conv.weight"] = weights.take(width, channels, kernel)
        held[f"layers.{i}.conv.bias"] = weights.take(width)
        held[f"layers.{i}.mixin.weight"] = weights.take(width, 1, 1)
        held[f"layers.{i}.residual.weight"] = weights.take(channels, channels, 1)
        held[f"layers.{i}.residual.bias"] = weights.take(channels)
    held["head.weight"] = weights.take(1, channels, 1)
    held["head.bias"] = weights.take(1) if array["head_bias"] else torch.zeros(1)
    held["scale"] = torch.stack([torch.ones(()), weights.take(1)[0]])
    field = 1 + (kernel - 1) * sum(array["dilations"])
    spec = {
        "kind": "wavenet",
        "layers": len(array["dilations"]),
        "window": field,
        "channels": channels,
        "kernel": kernel,
        "gated": gated,
    }
    model = build_with(spec, held, path)
    if list(model.spec.dilations) != list(array["dilations"]):  # type: ignore[attr-defined]  # a WaveNetSpec
        raise ExportError(f"{path}: dilations {array['dilations']} are not read here; doubling cycles are")
    return model


def _document(path: Path) -> dict[str, Any]:
    """The file's JSON, with the fields every .nam has."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} is no .nam file ({error})") from None
    for field in ("architecture", "config", "weights"):
        if not isinstance(document, dict) or field not in document:
            raise ExportError(f"{path} is no .nam file: field '{field}' is missing")
    return document
