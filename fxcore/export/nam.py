"""`nam`: the file of Neural Amp Modeler's plug-ins and pedals (version 0.5.4, which all of them read).

JSON with one flat list of weights. LSTM: for each layer the rows of [W_ih | W_hh] (gates i, f, g, o),
the summed biases and the starting h and c; then the head. WaveNet: rechannel; for each layer the
convolution [out][in][k] and its bias, the mix-in of the dry, the pointwise residual and its bias;
then the head, its bias and `head_scale`. Players feed and expect full scale ±1, so our input and
output scales are folded into the weights.
"""

import json
import math
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
DEFAULT_RATE = 48_000  # of files that name none


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
            "weights": [w for tensor in weights for w in tensor.detach().double().flatten().tolist()],
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
        rate = _count({"sample_rate": document.get("sample_rate") or DEFAULT_RATE}, "sample_rate", path)
        metadata = document.get("metadata")
        return Playable(model, rate, metadata.get("fxsearch", {}) if isinstance(metadata, dict) else {})


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
    held = model.state_dict()
    yield held["rechannel.weight"] / dry_scale
    for i in range(model.spec.layers):
        yield held[f"layers.{i}.conv.weight"]
        yield held[f"layers.{i}.conv.bias"]
        yield held[f"layers.{i}.mixin.weight"] / dry_scale
        yield held[f"layers.{i}.residual.weight"]
        yield held[f"layers.{i}.residual.bias"]
    yield held["head.weight"]
    yield held["head.bias"]
    yield wet_scale


class _Reader:
    """Takes tensors off the flat list of weights."""

    def __init__(self, weights: Any, path: Path) -> None:
        try:
            self.flat = torch.tensor(weights, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError):
            self.flat = torch.zeros(())
        if self.flat.dim() != 1:
            raise ExportError(f"{path}: 'weights' must be a list of numbers")
        self.path, self.at = path, 0

    def take(self, *shape: int) -> Tensor:
        """The next weights, of that shape."""
        count = math.prod(shape)
        if self.at + count > len(self.flat):
            raise ExportError(f"{self.path}: 'weights' ends after {len(self.flat)} values, more are needed")
        self.at += count
        return self.flat[self.at - count : self.at].reshape(shape)

    def expect_end(self) -> None:
        """Raise where weights are left over."""
        if self.at != len(self.flat):
            raise ExportError(f"{self.path}: 'weights' has {len(self.flat)} values, {self.at} are needed")


def _read_lstm(config: dict[str, Any], weights: _Reader, path: Path) -> EffectModel:
    _expect(config, {"input_size": 1}, path)
    hidden, layers = _count(config, "hidden_size", path), _count(config, "num_layers", path)
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
    _expect(config, {"head": None}, path)
    arrays = config.get("layers")
    if not isinstance(arrays, list) or len(arrays) != 1 or not isinstance(arrays[0], dict):
        raise ExportError(f"{path}: 'layers' must hold one layer array; several are not read here")
    array = arrays[0]
    _expect(array, {"input_size": 1, "condition_size": 1, "head_size": 1, "activation": "Tanh"}, path)
    channels, kernel = _count(array, "channels", path), _count(array, "kernel_size", path)
    dilations, gated = array.get("dilations"), bool(array.get("gated"))
    if not isinstance(dilations, list) or not all(isinstance(d, int) and d > 0 for d in dilations):
        raise ExportError(f"{path}: 'dilations' must be a list of numbers from 1 on; got {dilations!r}")
    width = channels * (2 if gated else 1)
    held = {"rechannel.weight": weights.take(channels, 1, 1)}
    for i in range(len(dilations)):
        held[f"layers.{i}.conv.weight"] = weights.take(width, channels, kernel)
        held[f"layers.{i}.conv.bias"] = weights.take(width)
        held[f"layers.{i}.mixin.weight"] = weights.take(width, 1, 1)
        held[f"layers.{i}.residual.weight"] = weights.take(channels, channels, 1)
        held[f"layers.{i}.residual.bias"] = weights.take(channels)
    held["head.weight"] = weights.take(1, channels, 1)
    held["head.bias"] = weights.take(1) if array.get("head_bias") else torch.zeros(1)
    held["scale"] = torch.stack([torch.ones(()), weights.take(1)[0]])
    field = 1 + (kernel - 1) * sum(dilations)
    spec = {
        "kind": "wavenet",
        "layers": len(dilations),
        "window": field,
        "channels": channels,
        "kernel": kernel,
        "gated": gated,
    }
    model = build_with(spec, held, path)
    if list(model.spec.dilations) != dilations:  # type: ignore[attr-defined]  # a WaveNetSpec
        raise ExportError(f"{path}: dilations {dilations} are not read here; doubling cycles are")
    return model


def _document(path: Path) -> dict[str, Any]:
    """The file's JSON, with the fields every .nam has."""
    document: Any
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} is no .nam file ({error})") from None
    if not isinstance(document, dict):
        raise ExportError(f"{path} is no .nam file: it must hold fields; got {type(document).__name__}")
    for field in ("architecture", "config", "weights"):
        if field not in document:
            raise ExportError(f"{path} is no .nam file: field '{field}' is missing")
    if not isinstance(document["config"], dict):
        raise ExportError(f"{path}: 'config' must hold fields; got {document['config']!r}")
    return document


def _count(config: dict[str, Any], field: str, path: Path) -> int:
    """A whole number from 1 on."""
    value = config.get(field)
    if not isinstance(value, int | float) or value < 1 or value % 1:
        raise ExportError(f"{path}: '{field}' must be a whole number from 1 on; got {value!r}")
    return int(value)


def _expect(config: dict[str, Any], values: dict[str, Any], path: Path) -> None:
    """Raise where a field has another value than the one that our networks have."""
    for field, value in values.items():
        if config.get(field, value) != value:
            raise ExportError(f"{path}: '{field}' must be {value!r} to be read here; got {config[field]!r}")
