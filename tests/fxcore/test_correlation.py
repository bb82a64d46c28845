"""Correlation: sub-sample peaks of delays that are known exactly."""

import numpy as np
import pytest
from scipy import signal

from fxcore.audio import Signal
from fxcore.correlation import correlate, faded

RATE = 22_050
NOISE = np.random.default_rng(0).normal(0, 0.1, (1, 4 * RATE)).astype(np.float32)


def later(dry: Signal, samples: float) -> Signal:
    """Delayed, circularly, by any fraction of a sample."""
    bins = np.fft.rfft(dry) * np.exp(-2j * np.pi * np.fft.rfftfreq(dry.shape[1]) * samples)
    return np.fft.irfft(bins, dry.shape[1]).astype(np.float32)


@pytest.mark.parametrize("delay", [0.0, 0.3, -0.45, 20.5, -33.75])
@pytest.mark.parametrize("gain", [1.0, -0.2])
def test_the_peak_is_at_the_delay_to_a_hundredth_of_a_sample(delay: float, gain: float) -> None:
    pair = correlate(NOISE, gain * later(NOISE, delay), 100)
    peak, strength = pair.strongest()
    assert abs(peak - delay) <= 0.51
    assert pair.refined(peak) == pytest.approx(delay, abs=0.01)
    assert strength > 5


def test_a_symmetric_filter_and_a_clipper_do_not_move_the_peak() -> None:
    dark = signal.lfilter(*signal.butter(2, 0.2), NOISE).astype(np.float32)
    for wet in (signal.filtfilt(*signal.butter(1, 0.3), dark), np.clip(dark, -0.02, 0.02)):
        pair = correlate(dark, later(wet, 7.3), 100)
        assert pair.refined(pair.strongest()[0]) == pytest.approx(7.3, abs=0.05)


def test_of_equal_peaks_the_one_nearest_to_zero_is_taken() -> None:
    tone = np.sin(2 * np.pi * np.arange(RATE) / 50)[None].astype(np.float32)
    assert correlate(tone, tone, 400).strongest()[0] == 0


def test_a_peak_in_the_margin_is_none() -> None:
    pair = correlate(NOISE, later(NOISE, 120), 100, margin=50)
    assert abs(pair.strongest()[0]) <= 100


def test_a_fade_touches_twenty_milliseconds_at_both_ends() -> None:
    ones = np.ones((1, RATE), np.float32)
    result, edge = faded(ones, RATE), round(0.02 * RATE)
    assert result[0, 0] == result[0, -1] == 0.0
    assert np.all(np.diff(result[0, : edge + 1]) > 0)
    np.testing.assert_array_equal(result[:, edge:-edge], ones[:, edge:-edge])
    np.testing.assert_array_equal(ones, 1.0)
