"""Export a model into a file that players load, read it back, and refuse a file that differs.

from fxcore.export import export, load
player = load("amp.nam").player()
wet = player(dry)                                # NumPy, block after block
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fxcore.errors import ExportError, OutputExistsError, did_you_mean
from fxcore.export.aidax import AidaxExporter
from fxcore.export.base import Exporter, Playable
from fxcore.export.impulse import at_rate, before_and_behind
from fxcore.export.ir import IrExporter
from fxcore.export.limits import common_limits
from fxcore.export.nam import NamExporter
from fxcore.export.native import NativeExporter
from fxcore.export.onnx import OnnxExporter
from fxcore.export.player import Player
from fxcore.export.probe import difference
from fxcore.export.proteus import ProteusExporter
from fxcore.export.rtneural import RtneuralExporter
from fxcore.export.torchscript import TorchExporter
from fxcore.files import replacing
from fxcore.models import EffectModel

_EXPORTERS: tuple[Exporter, ...] = (
    NativeExporter(),
    NamExporter(),
    AidaxExporter(),
    ProteusExporter(),
    RtneuralExporter(),
    OnnxExporter(),
    TorchExporter(),
    IrExporter(),
)
FORMATS: dict[str, Exporter] = {exporter.kind: exporter for exporter in _EXPORTERS}

__all__ = [
    "FORMATS",
    "Exporter",
    "Playable",
    "Player",
    "at_rate",
    "export",
    "formats_for",
    "load",
    "narrowing",
    "parts",
]


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
        copy = exporter.decode(part).model
        found, allowed = difference(
            exporter.promised(playable.model), copy, playable.sample_rate, exporter.tolerance
        )
        if not found <= allowed:
            raise ExportError(
                f"{path.name} differs from its model by {found:.1e} of the peak, "
                f"{allowed:.0e} is allowed; nothing was written"
            )
    return path


def load(path: Path | str) -> Playable:
    """Read an exported model by its extension; raises `ExportError`."""
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist; give a model written by `fxsearch export`")
    for exporter in FORMATS.values():
        if path.name.lower().endswith(exporter.extension):
            if exporter.runs_code:
                raise ExportError(
                    f"{path.name} is not opened here, for opening {exporter} can run what is hidden in it; "
                    f"give another format of the same model, or open it yourself by {exporter.players}"
                )
            return exporter.decode(path)
    known = ", ".join(e.extension for e in FORMATS.values())
    raise ExportError(f"{path.name} is no model; models end in {known}")


def formats_for(model: EffectModel) -> list[str]:
    """The formats that can hold a model."""
    return [kind for kind, exporter in FORMATS.items() if exporter.refusal(model) is None]


def parts(playable: Playable, kind: str) -> list[tuple[str, Playable]]:
    """The files that make up `playable` in format `kind`: one, or a network and the tail behind it.

    Each is a format and what goes into it. Raises `ExportError` where the format holds neither the model
    nor the network before its tail.
    """
    exporter = _exporter(kind)
    refusal = exporter.refusal(playable.model)
    if refusal is None:
        return [(kind, playable)]
    pieces = before_and_behind(playable.model)
    if pieces is None or exporter.refusal(pieces[0]) is not None:
        raise ExportError(refusal)
    net, tail = pieces
    return [(kind, playable._replace(model=net)), (IrExporter.kind, playable._replace(model=tail))]


def narrowing(kinds: Sequence[str], family: str) -> dict[str, tuple[Any, ...]] | None:
    """Values that a family's fields may have for models that all these formats hold; other fields are free.

    `output` stands for the kind of output. None where no model of the family fits into all of them.
    Raises `ExportError` for an unknown format.
    """
    return common_limits([_exporter(kind) for kind in kinds], family)


def _exporter(kind: str) -> Exporter:
    if kind not in FORMATS:
        raise ExportError(f"unknown format '{kind}'{did_you_mean(kind, FORMATS)}")
    return FORMATS[kind]
