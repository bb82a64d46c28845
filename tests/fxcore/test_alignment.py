"""Alignment: latency is found and never overstated, whatever the effect does to the waveform."""

import numpy as np
import pytest
from scipy import signal

from fxcore.alignment import align, overlap
from fxcore.audio import Signal
from fxcore.effects.chorus import Chorus
from fxcore.effects.compressor import Compressor
from fxcore.effects.fuzz import Fuzz
from fxcore.effects.octave import Octave
from fxcore.effects.reverb import Reverb
from fxcore.errors import AudioError, PairError
from fxcore.generators.pluck import Pluck
from fxcore.generators.track import Track

RATE = 44_100
TOLERANCE_SAMPLES = 110  # 2.5 ms, of which the slowest filter below takes most


def music(seed: int, seconds: float = 10.0) -> Signal:
    track = Track(segments=1, segment_seconds=seconds, generators=(Pluck(),))
    return track.render(RATE, np.random.default_rng(seed))


DRY = music(1)


def delayed(wet: Signal, samples: int) -> Signal:
    """The wet, later by some samples, as long as before."""
    if samples < 0:
        return np.pad(wet[:, -samples:], ((0, 0), (0, -samples)))
    return np.pad(wet, ((0, 0), (samples, 0)))[:, : wet.shape[1]]


def filtered(b: Signal, a: Signal) -> Signal:
    return signal.lfilter(b, a, DRY).astype(np.float32)


def echo(direct: float) -> Signal:
    """An echo of full level after 350 ms, and the direct sound."""
    late = round(0.35 * RATE)
    return direct * DRY + delayed(DRY, late)


WETS = {
    "gain": 0.3 * DRY,
    "clip": np.clip(100 * DRY, -1, 1),
    "fuzz": Fuzz()(DRY, RATE),
    "compressor": Compressor()(DRY, RATE),
    "low-pass": filtered(*signal.butter(2, 900 / (RATE / 2))),
    "steep low-pass": filtered(*signal.butter(8, 900 / (RATE / 2))),
    "high-pass": filtered(*signal.butter(2, 1000 / (RATE / 2), "high")),
    "chorus": Chorus()(DRY, RATE),
    "reverb": Reverb()(DRY, RATE),
    "quiet direct sound before a loud echo": echo(0.5),
    "noisy": DRY + np.random.default_rng(9).normal(0, 0.01, DRY.shape).astype(np.float32),
}


@pytest.mark.parametrize("wet", WETS.values(), ids=list(WETS))
@pytest.mark.parametrize("latency", [137, 1000, 20_000, -40, -3000])
def test_latency_is_found_and_never_overstated(wet: Signal, latency: int) -> None:
    found = align(DRY, delayed(wet, latency), RATE)
    assert found.by == "waveform"
    assert latency - TOLERANCE_SAMPLES <= found.latency_samples <= latency


@pytest.mark.parametrize("wet", WETS.values(), ids=list(WETS))
def test_the_phase_of_an_effect_is_no_latency(wet: Signal) -> None:
    assert align(DRY, wet, RATE).latency_samples == 0


def test_a_clean_latency_is_known_to_a_tenth_of_a_millisecond() -> None:
    found = align(DRY, delayed(0.3 * DRY, 137), RATE)
    assert found.latency_samples == pytest.approx(137, abs=5)
    assert found.correlation == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("rate", [16_000, 96_000])
def test_latency_is_found_at_other_rates(rate: int) -> None:
    dry = Track(segments=1, segment_seconds=5.0, generators=(Pluck(),)).render(rate, np.random.default_rng(1))
    wet = np.tanh(3 * delayed(dry, 500))
    assert 500 - 0.0025 * rate <= align(dry, wet, rate).latency_samples <= 500


@pytest.mark.parametrize("kind", ["gain", "clip", "low-pass", "compressor"])
def test_an_inverted_wet_is_told(kind: str) -> None:
    assert align(DRY, WETS[kind], RATE).polarity == 1
    assert align(DRY, -WETS[kind], RATE).polarity == -1


def test_a_pitch_shifted_wet_is_matched_by_its_onsets() -> None:
    found = align(DRY, Octave(delay_ms=0)(DRY, RATE), RATE)
    assert found.by == "onsets"
    assert found.latency_samples == 0


def test_a_shifter_s_own_delay_is_hardly_taken_for_latency() -> None:
    assert 0 <= align(DRY, Octave()(DRY, RATE), RATE).latency_samples <= 0.01 * RATE


def test_a_late_pitch_shifted_wet_is_found_to_20_ms() -> None:
    late = round(0.1 * RATE)
    found = align(DRY, delayed(Octave(delay_ms=0)(DRY, RATE), late), RATE)
    assert late - 0.03 * RATE <= found.latency_samples <= late


def test_noise_and_other_noise_are_no_pair() -> None:
    dry, wet = np.random.default_rng(0).normal(0, 0.1, (2, 1, 5 * RATE)).astype(np.float32)
    with pytest.raises(PairError, match="give a wet that was made from this dry"):
        align(dry, wet, RATE)


@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_other_music_is_no_pair(seed: int) -> None:
    with pytest.raises(PairError, match="must belong together"):
        align(DRY, np.tanh(5 * music(seed)), RATE)


def test_a_latency_out_of_reach_is_no_pair() -> None:
    with pytest.raises(PairError, match=r"within ±0\.1 s"):
        align(DRY, delayed(DRY, RATE), RATE, max_latency_s=0.1)


def test_silence_is_refused() -> None:
    with pytest.raises(AudioError, match="the wet is silent"):
        align(DRY, np.zeros_like(DRY), RATE)


def test_less_than_a_second_is_refused() -> None:
    with pytest.raises(PairError, match="must last a second"):
        align(DRY[:, : RATE // 2], DRY[:, : RATE // 2], RATE)


@pytest.mark.parametrize("latency", [0, 7, -7])
def test_overlap_undoes_a_latency(latency: int) -> None:
    dry, wet = overlap(DRY, delayed(DRY, latency), latency)
    assert dry.shape == wet.shape == (1, DRY.shape[1] - abs(latency))
    np.testing.assert_array_equal(dry, wet)


def test_overlap_cuts_to_the_shorter() -> None:
    dry, wet = overlap(DRY[:, :100], DRY[:, :80], 10)
    assert dry.shape == wet.shape == (1, 70)
