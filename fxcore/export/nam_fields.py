"""Fields and weights of a `.nam` file, taken one by one; each error names the field at fault."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fxcore.errors import ExportError


class WeightReader:
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


def count(config: dict[str, Any], field: str, path: Path) -> int:
    """A whole number from 1 on."""
    value = config.get(field)
    if not isinstance(value, int | float) or value < 1 or value % 1:
        raise ExportError(f"{path}: '{field}' must be a whole number from 1 on; got {value!r}")
    return int(value)


def counts(config: dict[str, Any], field: str, path: Path) -> tuple[int, ...]:
    """A list of whole numbers from 1 on."""
    values = config.get(field)
    if not isinstance(values, list) or not values or not all(isinstance(v, int) and v > 0 for v in values):
        raise ExportError(f"{path}: '{field}' must be a list of numbers from 1 on; got {values!r}")
    return tuple(values)


def expect(config: dict[str, Any], values: dict[str, Any], path: Path) -> None:
    """Raise where a field has another value than the one that our networks have."""
    for field, value in values.items():
        if config.get(field, value) != value:
            raise ExportError(f"{path}: '{field}' must be {value!r} to be read here; got {config[field]!r}")
