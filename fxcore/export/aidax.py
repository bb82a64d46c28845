"""`aidax`: the JSON of AIDA-X (a plug-in and MOD's pedals), RTNeural's layers with a pair to test them on.

One LSTM or GRU of a size that the player was compiled for, then a dense layer; `in_skip` adds the dry.
The player runs `input_batch` from zeros, compares with `output_batch`, and goes on from there: so that
the batch ends in a silence, on which the state settles.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fxcore.errors import ExportError
from fxcore.export import jsonfile
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.rtneural import DEFAULT_RATE, REGRESSION, layers_of, model_of
from fxcore.models import EffectModel
from fxcore.models.recurrent import RecurrentSpec

SIZES = (8, 12, 16, 20, 24, 32, 40, 64, 80)
BATCH_SAMPLES = 2048
SILENT_SAMPLES = 1024  # at its end
LIMITS: Limits = {
    "layers": (1,),
    "hidden": SIZES,
    "skip": (False, True),
    "tail_taps": (0,),
    "output": REGRESSION,
}


class AidaxExporter(Exporter):
    """One recurrent layer of the listed sizes, with or without a skip."""

    kind: ClassVar[str] = "aidax"
    extension: ClassVar[str] = ".aidax"
    players: ClassVar[str] = "AIDA-X, MOD Dwarf"
    holds: ClassVar[Mapping[str, Limits]] = {"gru": LIMITS, "lstm": LIMITS}

    def encode(self, playable: Playable) -> bytes:
        model, rate = playable.model, playable.sample_rate
        assert isinstance(model.spec, RecurrentSpec), "it holds no other"
        dry = test_input()
        document: dict[str, Any] = {
            "in_shape": [None, None, 1],
            "in_skip": int(model.spec.skip),
            "in_gain": 0.0,  # dB
            "out_gain": 0.0,
            "layers": layers_of(model),
            "samplerate": rate,
            "metadata": {"name": str(playable.facts.get("name", "")), "samplerate": rate},
            "fxsearch": playable.facts,
            "input_batch": jsonfile.numbers(dry[0, 0]),
            "output_batch": jsonfile.numbers(from_zeros(model, dry)[0, 0]),
        }
        return jsonfile.encode(document)

    def decode(self, path: Path) -> Playable:
        document = jsonfile.read(path, "AIDA-X model")
        skip = jsonfile.field({"in_skip": 0, **document}, "in_skip", path, int)
        if skip not in (0, 1):
            raise ExportError(f"{path}: field 'in_skip' must be 0 or 1; got {skip}")
        model = model_of(document, bool(skip), path)
        in_gain, out_gain = (
            10 ** (jsonfile.field({name: 0.0, **document}, name, path, (int, float)) / 20)
            for name in ("in_gain", "out_gain")
        )
        model = _amplified(model, in_gain, out_gain, path)
        _check_batch(document, model, path)
        metadata = document.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        rate = metadata.get("samplerate", document.get("samplerate", DEFAULT_RATE))
        facts = document.get("fxsearch")
        rate = jsonfile.count({"samplerate": rate}, "samplerate", path)
        return Playable(model, rate, facts if isinstance(facts, dict) else {})


def test_input() -> Tensor:
    """Noise that decays, then silence, (1, 1, 2048)."""
    samples = BATCH_SAMPLES - SILENT_SAMPLES
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, samples) * np.linspace(1.0, 0.05, samples)
    return torch.from_numpy(np.concatenate([noise, np.zeros(SILENT_SAMPLES)]).astype(np.float32))[None, None]


def from_zeros(model: EffectModel, dry: Tensor) -> Tensor:
    """The wet (1, 1, T) of a player that was just reset."""
    return model.cpu().stream(dry, model.zero_state(1))[0]


def _amplified(model: EffectModel, in_gain: float, out_gain: float, path: Path) -> EffectModel:
    """The model with gains around it."""
    if (in_gain, out_gain) != (1.0, 1.0):
        assert isinstance(model.spec, RecurrentSpec), "it holds no other"
        if model.spec.skip:
            raise ExportError(f"{path}: fields 'in_gain' and 'out_gain' must be 0 where 'in_skip' is 1")
        model.scale.copy_(torch.tensor([1 / in_gain, out_gain]))
    return model


def _check_batch(document: Mapping[str, Any], model: EffectModel, path: Path) -> None:
    """Run the file's own test, where it holds one."""
    if "input_batch" not in document or "output_batch" not in document:
        return
    size = len(jsonfile.field(document, "input_batch", path, list))
    dry, wet = (
        jsonfile.tensor(document[name], (size,), name, path) for name in ("input_batch", "output_batch")
    )
    found = from_zeros(model, dry[None, None])[0, 0]
    if not torch.allclose(found, wet, rtol=0, atol=1e-3 * max(1.0, float(wet.abs().max()))):
        raise ExportError(
            f"{path}: field 'output_batch' is not what the layers make of 'input_batch'; export it again"
        )
