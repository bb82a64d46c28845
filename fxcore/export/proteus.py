"""`proteus`: the JSON of GuitarML's Proteus and of what reads its captures: one LSTM of 40 units.

The weights are torch's own, under the names of the trainer that Proteus was made with
(Automated-GuitarAmpModelling). The player always adds the dry.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch

from fxcore.errors import ExportError
from fxcore.export import jsonfile
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.native import build_with
from fxcore.export.rtneural import REGRESSION
from fxcore.models.lstm import LstmNet

HIDDEN = 40
DEFAULT_RATE = 44_100
PARTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
MODEL_DATA = {
    "model": "SimpleRNN",
    "unit_type": "LSTM",
    "input_size": 1,
    "output_size": 1,
    "hidden_size": HIDDEN,
    "num_layers": 1,
    "skip": 1,
    "bias_fl": True,
}


class ProteusExporter(Exporter):
    """LSTM-40 with a skip."""

    kind: ClassVar[str] = "proteus"
    extension: ClassVar[str] = ".proteus.json"
    players: ClassVar[str] = "GuitarML Proteus, Chameleon and NeuralPi's successors"
    holds: ClassVar[Mapping[str, Limits]] = {
        "lstm": {
            "layers": (1,),
            "hidden": (HIDDEN,),
            "skip": (True,),
            "tail_taps": (0,),
            "output": REGRESSION,
        }
    }

    def encode(self, playable: Playable) -> bytes:
        model = playable.model
        assert isinstance(model, LstmNet)
        dry_scale, wet_scale = model.scale
        held = {f"rec.{name}": model.lstm.get_parameter(name) for name in PARTS}
        held["rec.weight_ih_l0"] = held["rec.weight_ih_l0"] / dry_scale
        weights = {name: jsonfile.numbers(tensor) for name, tensor in held.items()}
        weights["lin.weight"] = jsonfile.numbers(model.head.weight * wet_scale)
        weights["lin.bias"] = jsonfile.numbers(model.head.bias * wet_scale)
        document = {
            "model_data": MODEL_DATA,
            "state_dict": weights,
            "digest": jsonfile.digest(weights[name] for name in sorted(weights)),
            "samplerate": playable.sample_rate,
            "fxsearch": playable.facts,
        }
        return jsonfile.encode(document)

    def decode(self, path: Path) -> Playable:
        document = jsonfile.read(path, "Proteus model")
        data = jsonfile.field(document, "model_data", path)
        for name, value in MODEL_DATA.items():
            if data.get(name, value) != value:
                raise ExportError(f"{path}: field '{name}' must be {value!r}; got {data[name]!r}")
        state = jsonfile.field(document, "state_dict", path)
        shapes = ((4 * HIDDEN, 1), (4 * HIDDEN, HIDDEN), (4 * HIDDEN,), (4 * HIDDEN,))
        held = {
            f"lstm.{name}": jsonfile.tensor(state.get(f"rec.{name}"), shape, f"rec.{name}", path)
            for name, shape in zip(PARTS, shapes, strict=True)
        }
        held["head.weight"] = jsonfile.tensor(state.get("lin.weight"), (1, HIDDEN), "lin.weight", path)
        held["head.bias"] = jsonfile.tensor(state.get("lin.bias"), (1,), "lin.bias", path)
        held["scale"] = torch.ones(2)
        weights = [state[name] for name in sorted(state)]
        jsonfile.check_digest(document.get("digest"), weights, "state_dict", path)
        facts = document.get("fxsearch")
        rate = jsonfile.count({"samplerate": DEFAULT_RATE, **document}, "samplerate", path)
        spec = {"kind": "lstm", "layers": 1, "hidden": HIDDEN, "skip": True}
        return Playable(build_with(spec, held, path), rate, facts if isinstance(facts, dict) else {})
