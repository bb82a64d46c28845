from collections.abc import Callable

import numpy as np
import pytest

from fxcore.audio import Signal
from fxcore.effects.circuit import db_to_gain, highpass, lopsided_clip, lowpass, oversampled

SAMPLE_RATE = 44_100


def tone(frequency_hz: float) -> Signal:
    return np.sin(2 * np.pi * frequency_hz / SAMPLE_RATE * np.arange(SAMPLE_RATE)).astype(np.float32)[None]


def test_twenty_decibels_are_a_factor_of_ten() -> None:
    assert [db_to_gain(level_db) for level_db in (-20, 0, 20)] == pytest.approx([0.1, 1, 10])


def test_without_asymmetry_the_clip_is_tanh() -> None:
    samples = np.linspace(-5, 5, 101, dtype=np.float32)[None]
    assert np.abs(lopsided_clip(samples, 0.0) - np.tanh(samples)).max() < 1e-6


def test_asymmetry_lowers_the_limit_below_zero_and_keeps_the_slope_at_zero() -> None:
    samples = np.array([[-100.0, -1e-3, 1e-3, 100.0]], np.float32)
    assert lopsided_clip(samples, 0.4)[0] == pytest.approx([-0.6, -1e-3, 1e-3, 1.0], rel=1e-5)


@pytest.mark.parametrize(("capacitor", "passes_hz"), [(highpass, 15_000), (lowpass, 20)])
def test_a_capacitor_passes_one_side_and_loses_three_decibels_at_its_cutoff(
    capacitor: Callable[[Signal, float, int], Signal], passes_hz: float
) -> None:
    for frequency_hz, gain in [(passes_hz, 1.0), (1_000, np.sqrt(0.5))]:
        settled = capacitor(tone(frequency_hz), 1_000, SAMPLE_RATE)[:, 5_000:]
        assert np.sqrt(2 * np.mean(settled**2)) == pytest.approx(gain, rel=0.01)


def test_a_highpass_removes_dc() -> None:
    assert np.abs(highpass(np.ones((1, 40_000), np.float32), 20, SAMPLE_RATE)[0, -1]) < 1e-5


def test_an_oversampled_wire_passes_all_it_can_and_hears_nothing_before_it_is_played() -> None:
    click = np.eye(1, 4_096, 100, dtype=np.float32)
    wet = oversampled(lambda fine, _: fine, click, SAMPLE_RATE)
    assert wet.shape == click.shape
    assert not wet[:, :100].any()
    gain = np.abs(np.fft.rfft(wet[0]))
    assert np.abs(gain[: int(0.88 * len(gain))] - 1).max() < 1e-3
    assert np.argmax(wet) - 100 < 8  # and it is heard soon


def test_oversampling_keeps_aliases_of_a_clip_down() -> None:
    dry = tone(2_500)

    def alias_share(wet: Signal) -> float:
        power = np.abs(np.fft.rfft(wet[0].astype(np.float64) * np.blackman(SAMPLE_RATE))) ** 2
        distance = np.abs((np.arange(len(power)) + 1_250) % 2_500 - 1_250)
        return float(power[(distance > 5) & (np.arange(len(power)) < 20_000)].sum() / power.sum())

    plain = alias_share(lopsided_clip(20 * dry, 0.3))
    fine = alias_share(oversampled(lambda fine, _: lopsided_clip(20 * fine, 0.3), dry, SAMPLE_RATE))
    assert plain > 1e-3
    assert fine < 1e-5
