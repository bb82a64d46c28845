"""Export a model into a file that players load, read it back, and refuse a file that differs.

from fxcore.export import export, load
playable = load("amp.nam")                       # .model, .sample_rate, .facts
wet = playable.model.predict(dry)                # (B, 1, T) -> (B, 1, T)
"""

from pathlib import Path

import torch

from fxcore.errors import ExportError, OutputExistsError, did_you_mean
from fxcore.export.base import Exporter, Playable
from fxcore.export.nam import NamExporter
from fxcore.export.native import NativeExporter
from fxcore.files import replacing
from fxcore.models import EffectModel

FORMATS: dict[str, Exporter] = {e.kind: e for e in (NativeExporter(), NamExporter())}

__all__ = ["FORMATS", "Exporter", "Playable", "export", "formats_for", "load"]


def export(playable: Playable, kind: str, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write `playable` as format `kind`; the file is read back and must sound the same.

    Raises `ExportError` where the format cannot hold the model or the file differs by more than the
    format's tolerance, and `OutputExistsError`; then nothing is left behind.
    """
    exporter, path = _exporter(kind), Path(path)
    if refusal := exporter.refusal(playable.model):
        raise ExportError(refusal)
    if not all(bool(tensor.isfinite().all()) for tensor in playable.model.state_dict().values()):
        raise ExportError("the model's weights hold NaN or infinite values; export another trial's")
    if path.exists() and not overwrite:
        raise OutputExistsError(path)
    with replacing(path) as part:
        part.write_bytes(exporter.encode(playable))
        difference = _difference(playable.model, exporter.decode(part).model)
        if not difference <= exporter.tolerance:
            raise ExportError(
                f"{path.name} differs from its model by {difference:.1e} of the peak, "
                f"{exporter.tolerance:.0e} is allowed; nothing was written"
            )
    return path


def load(path: Path | str) -> Playable:
    """Read an exported model by its extension; raises `ExportError`."""
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist; give a model written by `fxsearch export`")
    for exporter in FORMATS.values():
        if path.suffix.lower() == exporter.extension:
            return exporter.decode(path)
    known = ", ".join(e.extension for e in FORMATS.values())
    raise ExportError(f"{path.name} is no model; models end in {known}")


def formats_for(model: EffectModel) -> list[str]:
    """The formats that can hold a model."""
    return [kind for kind, exporter in FORMATS.items() if exporter.refusal(model) is None]


def _exporter(kind: str) -> Exporter:
    if kind not in FORMATS:
        raise ExportError(f"unknown format '{kind}'{did_you_mean(kind, FORMATS)}")
    return FORMATS[kind]


def _difference(model: EffectModel, copy: EffectModel) -> float:
    """Largest difference on silence, an impulse and noise at two levels, over the model's peak."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 4096, generator=rng).clamp(-4, 4) / 4
    impulse = torch.zeros(1, 1, 2048)
    impulse[..., 0] = 1.0
    probe = torch.cat([torch.zeros(1, 1, 1024), impulse, 0.03 * noise, noise], dim=-1)
    wet = model.predict(probe.to(model.scale.device)).cpu()
    return float((wet - copy.predict(probe)).abs().max() / wet.abs().max().clamp(min=1e-9))
