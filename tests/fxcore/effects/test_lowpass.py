import numpy as np
import pytest

from fxcore.effects.lowpass import LowPass
from fxcore.errors import EffectError

SAMPLE_RATE = 44_100


def gain_db(cutoff_hz: float, frequency_hz: float) -> float:
    """Level of a tone through the filter, once settled."""
    tone = np.sin(2 * np.pi * frequency_hz / SAMPLE_RATE * np.arange(2 * SAMPLE_RATE)).astype(np.float32)
    wet = LowPass(cutoff_hz=cutoff_hz)(tone[None], SAMPLE_RATE)[0]
    return float(20 * np.log10(np.linalg.norm(wet[SAMPLE_RATE:]) / np.linalg.norm(tone[SAMPLE_RATE:])))


def test_a_tone_far_above_the_cutoff_is_removed() -> None:
    assert gain_db(20, 10_000) < -50


def test_a_tone_far_below_the_cutoff_passes() -> None:
    assert gain_db(5_000, 50) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("cutoff_hz", [50, 500, 5_000])
def test_at_the_cutoff_three_decibels_are_lost(cutoff_hz: float) -> None:
    assert gain_db(cutoff_hz, cutoff_hz) == pytest.approx(-3.01, abs=0.02)


def test_a_cutoff_above_half_the_sample_rate_is_refused() -> None:
    with pytest.raises(EffectError, match="cutoff_hz must lie below"):
        LowPass(cutoff_hz=5_000)(np.ones((1, 8), np.float32), 8_000)
