"""`safetensors`: the native form of any model, weights plus its spec as JSON.

The checkpoint of a trial is read too, with the trial's best weights.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from fxcore.errors import CheckpointError, ExportError, SpecError
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.models import FAMILIES, EffectModel
from fxcore.tensorfile import encode_tensors, read_tensors
from fxcore.training.checkpoint import load_progress

FORMAT = "fxsearch model 1"


class NativeExporter(Exporter):
    """Holds every model exactly."""

    kind: ClassVar[str] = "safetensors"
    extension: ClassVar[str] = ".safetensors"
    players: ClassVar[str] = "fxsearch apply, fxcore.export.load"
    holds: ClassVar[Mapping[str, Limits]] = {family: {} for family in FAMILIES}

    def encode(self, playable: Playable) -> bytes:
        values = {
            "format": FORMAT,
            "model": playable.model.spec.as_dict(),
            "sample_rate": playable.sample_rate,
            "facts": playable.facts,
        }
        return encode_tensors(playable.model.state_dict(), values)

    def decode(self, path: Path) -> Playable:
        try:
            tensors, values = read_tensors(path)
        except CheckpointError as error:
            raise ExportError(str(error)) from None
        if "report" in values:
            progress = load_progress(path)
            model = build_with(progress.model.as_dict(), progress.best_weights, path)
            return Playable(model, progress.sample_rate, {"validation": progress.report.best})
        if values.get("format") != FORMAT:
            raise ExportError(f"{path} is no exported model (format {values.get('format')!r})")
        return Playable(build_with(values["model"], tensors, path), values["sample_rate"], values["facts"])


def build_with(spec: Any, weights: dict[str, Tensor], path: Path) -> EffectModel:
    """The model of a spec's JSON, with these weights; raises `ExportError` where they do not fit."""
    try:
        model = FAMILIES.parse(spec).build(torch.Generator().manual_seed(0))
        model.load_state_dict(weights)
    except (SpecError, RuntimeError) as error:
        raise ExportError(f"{path} does not hold a model: {str(error).splitlines()[-1].strip()}") from None
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise ExportError(f"{path}: the weights '{name}' hold NaN or infinite values; export it again")
    return model.eval()
