"""`nam_wavenet`: the sizes of WaveNet that Neural Amp Modeler trains, weight for weight.

A1 is two arrays of kernel 3, the second half as wide as the first (standard since 2023); A2 is one
array of leaky ReLUs whose dilations are prime to one another (2026). Players have fast paths for
them, and captures made elsewhere have these shapes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from fxcore.models.base import TrainingSpec
from fxcore.models.wavenet import LayerArray, Shape, WaveNetBase

Size: TypeAlias = Literal["a1_standard", "a1_lite", "a1_feather", "a1_nano", "a2_full", "a2_lite"]

_DOUBLING = tuple(2**i for i in range(10))  # 1 .. 512
_PRIMES = (1, 3, 7, 17, 41, 101, 239)


class NamWaveNetSpec(WaveNetBase):
    """One of Neural Amp Modeler's own sizes."""

    kind: Literal["nam_wavenet"] = "nam_wavenet"
    size: Size = "a1_nano"

    # long windows: 4,092 or 6,346 samples of each go before the first that is learned from
    training: ClassVar[TrainingSpec] = TrainingSpec(batch=1, block_samples=16_384, learning_rate=6e-3)
    gpu_batch: ClassVar[int | None] = 16
    ranges: ClassVar[Mapping[str, Any]] = {
        "size": ["a1_standard", "a1_lite", "a1_feather", "a1_nano", "a2_full", "a2_lite"]
    }

    @property
    def shape(self) -> Shape:
        return SIZES[self.size]


def _a1(channels: int, first: tuple[int, ...], second: tuple[int, ...]) -> Shape:
    """Two arrays of kernel 3 with these dilations."""
    return Shape(
        (
            LayerArray(channels, (3,) * len(first), first),
            LayerArray(channels // 2, (3,) * len(second), second),
        )
    )


def _a2(channels: int) -> Shape:
    """23 layers in one array, with a head that hears 16 samples."""
    kernels = (6,) * 14 + (15, 15) + (6,) * 7
    array = LayerArray(channels, kernels, _PRIMES * 2 + (1, 13) + _PRIMES)
    return Shape((array,), "leaky_relu", head_kernel=16)


SIZES: dict[Size, Shape] = {
    "a1_standard": _a1(16, _DOUBLING, _DOUBLING),
    "a1_lite": _a1(12, _DOUBLING[:7], _DOUBLING[7:] + _DOUBLING),
    "a1_feather": _a1(8, _DOUBLING[:7], _DOUBLING[7:] + _DOUBLING),
    "a1_nano": _a1(4, _DOUBLING[:7], _DOUBLING[7:] + _DOUBLING),
    "a2_full": _a2(8),
    "a2_lite": _a2(3),
}
