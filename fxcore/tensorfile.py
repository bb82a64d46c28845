"""Weights and plain values in one file: safetensors, with JSON in its header and a hash over all.

Nothing is ever unpickled; the same input gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fxcore.errors import CheckpointError
from fxcore.files import write_bytes

KEY = "fxsearch"  # in the file's header: the hash and the values


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write tensors and JSON `values` whole or not at all."""
    write_bytes(path, encode_tensors(tensors, values))


def encode_tensors(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> bytes:
    """The contents of such a file."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    text = json.dumps(values, sort_keys=True)
    return save(held, metadata={KEY: f"{_hash(held, text)} {text}"})  # one key: several have no fixed order


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and values; raises `CheckpointError` for a missing, truncated or altered file."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it cannot be iterated
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is corrupt or no safetensors file ({error})") from None
    if KEY not in metadata:
        raise CheckpointError(f"{path} was not written by fxsearch; give a checkpoint or an exported model")
    digest, _, text = metadata[KEY].partition(" ")
    if digest != _hash(tensors, text):
        raise CheckpointError(f"{path} is corrupt: its contents do not match the hash written with them")
    return tensors, json.loads(text)


def _hash(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
