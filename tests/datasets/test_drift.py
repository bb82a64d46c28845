"""Drift and jumps: measured as they were made, and neither where only the music changes."""

import numpy as np
import pytest
import soxr
from scipy import signal

from datasets.drift import drift_of, jump_of, track_latency
from fxcore.audio import Signal
from fxcore.effects.chorus import Chorus
from fxcore.effects.distortion import Distortion
from fxcore.effects.octave import Octave
from fxcore.generators.pluck import Pluck
from fxcore.generators.track import Track

RATE = 22_050
DRY = Track(segments=1, segment_seconds=30, generators=(Pluck(),)).render(RATE, np.random.default_rng(5))
SAMPLES = DRY.shape[1]


def two_taps(dry: Signal) -> Signal:
    """An effect with two arrivals, lows and highs: notes decide on which of them a window peaks."""
    low, high = (signal.lfilter(*signal.butter(2, 900 / (RATE / 2), kind), dry) for kind in ("low", "high"))
    return (np.roll(low, 40) + 0.5 * high).astype(np.float32)


WETS = {
    "gain": 0.3 * DRY,
    "distortion": Distortion()(DRY, RATE),
    "chorus": Chorus()(DRY, RATE),
    "low-pass": signal.lfilter(*signal.butter(2, 900 / (RATE / 2)), DRY).astype(np.float32),
    "two arrivals": two_taps(DRY),
}


def on_another_clock(wet: Signal, ppm: float) -> Signal:
    return np.asarray(soxr.resample(wet[0], 1e6, 1e6 + ppm, quality="VHQ")[None], np.float32)


@pytest.mark.parametrize("wet", WETS.values(), ids=list(WETS))
@pytest.mark.parametrize("ppm", [-300.0, -20.0, 20.0, 100.0])
def test_drift_is_measured_in_ppm_and_over_the_whole_pair(wet: Signal, ppm: float) -> None:
    drift = drift_of(track_latency(DRY, on_another_clock(wet, ppm), RATE))
    assert drift is not None
    assert drift.certain
    assert drift.ppm == pytest.approx(ppm, abs=max(3, 0.15 * abs(ppm)))
    assert drift.samples == pytest.approx(drift.ppm * 1e-6 * SAMPLES, rel=0.01)


@pytest.mark.parametrize("wet", WETS.values(), ids=list(WETS))
def test_one_clock_does_not_drift_nor_jump(wet: Signal) -> None:
    track = track_latency(DRY, wet, RATE)
    drift = drift_of(track)
    assert drift is not None
    assert not drift.certain
    assert jump_of(track) is None


def test_a_clean_drift_of_half_a_ppm_is_measured() -> None:
    """0.3 samples in 30 s: too little to be told, but measured."""
    drift = drift_of(track_latency(DRY, on_another_clock(DRY, 0.5), RATE))
    assert drift is not None
    assert drift.ppm == pytest.approx(0.5, abs=0.1)
    assert not drift.certain


def test_a_pitch_shift_has_no_latency_to_follow() -> None:
    track = track_latency(DRY, Octave(delay_ms=0)(DRY, RATE), RATE)
    assert drift_of(track) is None
    assert jump_of(track) is None


@pytest.mark.parametrize("lost", [64, -512])
@pytest.mark.parametrize("share", [0.35, 0.6])
def test_lost_and_repeated_samples_are_a_jump(lost: int, share: float) -> None:
    wet = WETS["distortion"]
    at = round(share * SAMPLES)
    wet = np.concatenate([wet[:, :at], wet[:, at + lost :]], axis=1)
    jump = jump_of(track_latency(DRY, wet, RATE))
    assert jump is not None
    assert jump.samples == pytest.approx(-lost, abs=1)
    assert jump.from_s - 1 < share * 30 < jump.to_s + 1


def test_silence_is_passed_over() -> None:
    dry = DRY.copy()
    dry[:, SAMPLES // 4 : SAMPLES // 2] = 0
    track = track_latency(dry, 0.5 * dry, RATE)
    assert len(track.lags) < 10
    np.testing.assert_allclose(track.lags, 0.0, atol=0.02)
    assert drift_of(track_latency(0 * dry, dry, RATE)) is None
