"""`nam`: the file of Neural Amp Modeler's plug-ins and pedals, in version 0.5.4 where it can be.

JSON with one flat list of weights. LSTM: for each layer the rows of [W_ih | W_hh] (gates i, f, g, o),
the summed biases and the starting h and c; then the head. Linear: the impulse response, then a
constant. ConvNet and WaveNet: see `nam_convnet` and `nam_wavenet`. Players feed and expect full scale
±1, so our input and output scales are folded into the weights.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from fxcore.errors import ExportError
from fxcore.export import jsonfile, nam_convnet, nam_wavenet
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.loudness import loudness
from fxcore.export.nam_fields import WeightReader, count, expect
from fxcore.export.native import build_with
from fxcore.models import EffectModel
from fxcore.models.conv import ConvNet
from fxcore.models.fir import FirNet
from fxcore.models.lstm import LstmNet
from fxcore.models.wavenet import WaveNet

REGRESSION = ("regression",)
VERSION = nam_wavenet.OLDER
DEFAULT_RATE = 48_000  # of files that name none


class NamExporter(Exporter):
    """Models whose output is a regression, in four of the format's architectures."""

    kind: ClassVar[str] = "nam"
    extension: ClassVar[str] = ".nam"
    players: ClassVar[str] = "Neural Amp Modeler and compatible plug-ins and pedals"

    holds: ClassVar[Mapping[str, Limits]] = {
        "conv": {"pool": (1,), "kernel": (nam_convnet.KERNEL,), "output": REGRESSION},
        "lstm": {"skip": (False,), "tail_taps": (0,), "output": REGRESSION},
        "wavenet": {"output": REGRESSION},
        "nam_wavenet": {"output": REGRESSION},
        "fir": {},
    }

    def encode(self, playable: Playable) -> bytes:
        model, version = playable.model, VERSION
        if isinstance(model, LstmNet):
            architecture, config, weights = "LSTM", _lstm_config(model), _lstm_weights(model)
        elif isinstance(model, ConvNet):
            architecture = "ConvNet"
            config, weights = nam_convnet.config(model), nam_convnet.weights(model)
        elif isinstance(model, FirNet):
            architecture, config, weights = "Linear", _linear_config(model), _linear_weights(model)
        else:
            assert isinstance(model, WaveNet)
            architecture, version = "WaveNet", nam_wavenet.version(model)
            config, weights = nam_wavenet.config(model), nam_wavenet.weights(model)
        flat = [w for tensor in weights for w in tensor.detach().double().flatten().tolist()]
        document = {
            "version": version,
            "metadata": {**_metadata(playable), "digest": jsonfile.digest([flat])},
            "architecture": architecture,
            "config": config,
            "weights": flat,
            "sample_rate": playable.sample_rate,
        }
        return json.dumps(document, sort_keys=True).encode()

    def decode(self, path: Path) -> Playable:
        document = _document(path)
        weights = WeightReader(document["weights"], path)
        readers = {
            "ConvNet": nam_convnet.read,
            "LSTM": _read_lstm,
            "Linear": _read_linear,
            "WaveNet": nam_wavenet.read,
        }
        architecture, known = document["architecture"], ", ".join(readers)
        if architecture not in readers:
            raise ExportError(f"{path}: architecture {architecture!r} is not read here; known: {known}")
        model = readers[architecture](document["config"], weights, path)
        weights.expect_end()
        rate = count({"sample_rate": document.get("sample_rate") or DEFAULT_RATE}, "sample_rate", path)
        metadata = document.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        jsonfile.check_digest(metadata.get("digest"), [weights.flat], "weights", path)
        return Playable(model, rate, metadata.get("fxsearch", {}))


def _metadata(playable: Playable) -> dict[str, Any]:
    """What players show, and the levels by which they make models equally loud."""
    facts, measured = playable.facts, loudness(playable.model, playable.sample_rate)
    found: dict[str, Any] = {
        "name": facts.get("name", ""),
        "modeled_by": "fxsearch",
        "loudness": round(measured.loudness_db, 3),
        "gain": round(measured.gain, 4),
        "fxsearch": facts,
    }
    with suppress(KeyError, ValueError, TypeError):
        date = datetime.fromisoformat(facts["date"])
        names = ("year", "month", "day", "hour", "minute", "second")
        found["date"] = {name: getattr(date, name) for name in names}
    return found


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


def _read_lstm(config: dict[str, Any], weights: WeightReader, path: Path) -> EffectModel:
    expect(config, {"input_size": 1}, path)
    hidden, layers = count(config, "hidden_size", path), count(config, "num_layers", path)
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


def _linear_config(model: FirNet) -> dict[str, Any]:
    return {"receptive_field": model.spec.taps, "bias": True}


def _linear_weights(model: FirNet) -> Iterator[Tensor]:
    dry_scale, wet_scale = model.scale
    yield model.filters.taps * (wet_scale / dry_scale)
    yield model.bias * wet_scale


def _read_linear(config: dict[str, Any], weights: WeightReader, path: Path) -> EffectModel:
    expect(config, {"in_channels": 1, "out_channels": 1}, path)
    taps = count(config, "receptive_field", path)
    held = {"scale": torch.ones(2), "filters.taps": weights.take(1, taps)}
    held["bias"] = weights.take(1) if config.get("bias") else torch.zeros(1)
    return build_with({"kind": "fir", "taps": taps}, held, path)


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
