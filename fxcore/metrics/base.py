"""Metric: sums over recordings, divided once.

A ratio of sums weighs every recording by its energy or length; a mean of ratios would let the
quietest one decide. And a metric is finite whatever a model gave: what diverged gets `worst`, so
that searches can rank it.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Metric(ABC):
    """How far preds lie from their wets, 0 where they are equal; lower is better.

    A subclass gives sums that add up over recordings, and the value that they make.
    """

    name: ClassVar[str]
    unit: ClassVar[str]  # "" for a ratio
    worst: ClassVar[float]  # the most a value can be, and that of NaN, of infinity and of nothing measured

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._sums: Tensor | None = None

    @torch.no_grad()
    def update(self, dry: Tensor, wet: Tensor, pred: Tensor) -> None:
        """Add one recording, or a batch of them: (B, 1, T) each, float32, full scale ±1.

        Raises `ValueError` where shapes differ, which would broadcast to a wrong figure.
        """
        if not dry.shape == wet.shape == pred.shape or dry.dim() != 3 or dry.shape[1] != 1:
            shapes = ", ".join(str(tuple(signal.shape)) for signal in (dry, wet, pred))
            raise ValueError(f"dry, wet and pred must share one shape (B, 1, T); got {shapes}")
        sums = self.sums(dry, wet, pred).to("cpu", torch.float64)
        self._sums = sums if self._sums is None else self._sums + sums

    def value(self) -> float:
        """The metric of all recordings so far: finite, from 0 to `worst`."""
        if self._sums is None:
            return self.worst
        value = float(self.divide(self._sums))
        return min(value, self.worst) if math.isfinite(value) else self.worst

    @abstractmethod
    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:
        """Sums of one recording, which add up over recordings; any shape that `divide` knows."""

    @abstractmethod
    def divide(self, sums: Tensor) -> Tensor:
        """The value, a scalar, of the sums of all recordings, float64."""


def ratio(sums: Tensor) -> Tensor:
    """First of two sums (2,) over the second; 0 where the first is, even if both are (no error at all)."""
    above, below = sums
    return torch.where(above == 0, 0.0, above / below)
