"""What an effect is: it makes a wet signal from a dry one, of the same length and aligned to it."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fxcore.audio import Signal, check_finite
from fxcore.errors import AudioError, EffectError
from fxcore.spec import Spec


class Effect(Spec, ABC):
    """An effect with its settings. It keeps nothing from one call to the next."""

    kind: str

    def __call__(self, dry: Signal, sample_rate: int) -> Signal:
        """The wet (1, T) of a dry (1, T) at `sample_rate` Hz, without latency; the same every time.

        Raises `AudioError` where the dry is not one channel of finite samples, `EffectError` where
        the effect cannot run at this sample rate or its wet is of no use.
        """
        if dry.ndim != 2 or dry.shape[0] != 1:
            raise AudioError(f"an effect takes one channel, shape (1, T); got {dry.shape}; mix it to mono")
        check_finite(dry, "the dry signal", sample_rate)
        wet = np.ascontiguousarray(self.process(dry, sample_rate), np.float32)
        if wet.shape != dry.shape:
            raise EffectError(f"{self.kind} must keep the shape {dry.shape} of its dry; it gave {wet.shape}")
        if not np.isfinite(wet).all():
            raise EffectError(f"{self.kind} gave NaN or infinite samples; try milder settings than {self!r}")
        return wet

    def as_played(self, sample_rate: int) -> dict[str, Any]:
        """The settings as plain JSON types, where the effect itself rounds or measures them, as it did."""
        return self.as_dict()

    @abstractmethod
    def process(self, dry: Signal, sample_rate: int) -> Signal:
        """The wet of a checked dry, both (1, T); callers use the effect itself."""


def check_below_nyquist(name: str, frequency_hz: float, sample_rate: int) -> None:
    """Raise `EffectError` for a filter that the sample rate cannot hold."""
    if frequency_hz >= sample_rate / 2:
        raise EffectError(
            f"{name} must lie below half the sample rate, {sample_rate / 2:g} Hz; got {frequency_hz:g}; "
            "lower it or raise the sample rate"
        )
