from typing import Literal

import numpy as np
import pytest

from fxcore.audio import Signal
from fxcore.effects.base import Effect, check_below_nyquist
from fxcore.errors import EffectError

DRY = np.ones((1, 8), np.float32)


class Longer(Effect):
    kind: Literal["longer"] = "longer"

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return np.pad(dry, [(0, 0), (0, sample_rate)])


class Infinite(Effect):
    kind: Literal["infinite"] = "infinite"

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return dry * np.float32(np.inf) * sample_rate


def test_a_wet_of_another_length_is_refused() -> None:
    with pytest.raises(
        EffectError, match=r"longer must keep the shape \(1, 8\) of its dry; it gave \(1, 10\)"
    ):
        Longer()(DRY, 2)


def test_a_wet_that_is_not_finite_is_refused() -> None:
    with pytest.raises(EffectError, match="infinite gave NaN or infinite samples; try milder settings"):
        Infinite()(DRY, 2)


def test_a_filter_above_half_the_sample_rate_is_refused() -> None:
    check_below_nyquist("tone_hz", 3999.0, 8_000)
    with pytest.raises(EffectError, match="tone_hz must lie below half the sample rate, 4000 Hz; got 4000"):
        check_below_nyquist("tone_hz", 4000.0, 8_000)
