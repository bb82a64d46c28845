"""Fields of JSON files, taken one by one; each error names the field at fault."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fxcore.errors import ExportError


def encode(document: Mapping[str, Any]) -> bytes:
    """The same bytes for the same values, whatever the order of the keys."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(path: Path, what: str) -> dict[str, Any]:
    """The document of a file that is `what`."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path} is no {what} ({error})") from None
    if not isinstance(document, dict):
        raise ExportError(f"{path} is no {what}: it must hold fields; got {type(document).__name__}")
    return document


def numbers(tensor: Tensor) -> Any:
    """Nested lists of the shortest decimals that give the same float32."""
    array = tensor.detach().cpu().float().numpy()
    shortest = np.array([float(str(value)) for value in array.ravel()])
    return shortest.reshape(array.shape).tolist()


def field(document: Mapping[str, Any], name: str, path: Path, kind: type | tuple[type, ...] = dict) -> Any:
    """A field of a type."""
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ExportError(f"{path}: field '{name}' is missing or of a wrong type; got {type(value).__name__}")
    return value


def count(document: Mapping[str, Any], name: str, path: Path) -> int:
    """A whole number from 1 on."""
    value = document.get(name)
    if not isinstance(value, int | float) or not 1 <= value <= 1 << 31 or value % 1:
        raise ExportError(f"{path}: field '{name}' must be a whole number from 1 on; got {value!r}")
    return int(value)


def tensor(values: Any, shape: tuple[int, ...], name: str, path: Path) -> Tensor:
    """Weights of that shape, all finite."""
    try:
        found = torch.tensor(values, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ExportError(f"{path}: field '{name}' must be numbers of shape {shape}") from None
    if found.shape != shape:
        raise ExportError(f"{path}: field '{name}' must have shape {shape}; got {tuple(found.shape)}")
    if not bool(found.isfinite().all()):
        raise ExportError(f"{path}: field '{name}' holds NaN or infinite values; export it again")
    return found


def digest(arrays: Iterable[Any]) -> str:
    """Of arrays of numbers in their order, as float32: 32 hexadecimal digits."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.asarray(array, dtype="<f4").tobytes())
    return found.hexdigest()[:32]


def check_digest(written: Any, arrays: Iterable[Any], name: str, path: Path) -> None:
    """Raise where a file tells the digest of its weights, and they are others, or in another order."""
    if written is not None and written != digest(arrays):
        raise ExportError(
            f"{path}: field '{name}' does not match the digest written with it: values were changed or "
            "reordered; export it again"
        )
