"""The progress of a `Fit` as one file: weights, best weights, optimiser, random state, last report."""

from pathlib import Path

from torch import Tensor

from fxcore.errors import CheckpointError
from fxcore.files import write_bytes
from fxcore.models import FAMILIES
from fxcore.tensorfile import encode_tensors, read_tensors
from fxcore.training.fit import Progress, Report


def save_progress(path: Path | str, progress: Progress, identity: str) -> None:
    """Write the checkpoint of the trial `identity`, whole or not at all."""
    write_bytes(path, encode_progress(progress, identity))


def encode_progress(progress: Progress, identity: str) -> bytes:
    """The contents of that file."""
    tensors: dict[str, Tensor] = {"rng": progress.rng}
    tensors |= {f"weights.{name}": t for name, t in progress.weights.items()}
    tensors |= {f"best.{name}": t for name, t in progress.best_weights.items()}
    tensors |= {f"optimiser.{name}": t for name, t in progress.optimiser.items()}
    values = {
        "identity": identity,
        "model": progress.model.as_dict(),
        "sample_rate": progress.sample_rate,
        "report": progress.report._asdict(),
    }
    return encode_tensors(tensors, values)


def load_progress(path: Path | str, identity: str | None = None) -> Progress:
    """Read a checkpoint; raises `CheckpointError` where it is corrupt, none, or not that trial's."""
    tensors, values = read_tensors(path)
    if "report" not in values:
        raise CheckpointError(f"{path} is no checkpoint of a trial")
    if identity is not None and values["identity"] != identity:
        raise CheckpointError(f"{path} is the checkpoint of another trial ({values['identity']})")
    return Progress(
        model=FAMILIES.parse(values["model"]),
        sample_rate=values["sample_rate"],
        report=Report(**values["report"]),
        weights=_under("weights", tensors),
        best_weights=_under("best", tensors),
        optimiser=_under("optimiser", tensors),
        rng=tensors["rng"],
    )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = len(prefix) + 1
    return {name[start:]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
