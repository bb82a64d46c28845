import numpy as np
import pytest
from scipy.signal import lfilter

from fxcore.generators.pluck import Pluck, comb, loop

SAMPLE_RATE = 44_100


def fundamental_hz(samples: np.ndarray, near_hz: float) -> float:
    """Peak of the zero-padded spectrum within a semitone, by parabola through three log bins."""
    size = 2**20
    magnitude = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    first = int(near_hz / 1.06 * size / SAMPLE_RATE)
    last = int(near_hz * 1.06 * size / SAMPLE_RATE)
    peak = first + int(np.argmax(magnitude[first:last]))
    a, b, c = np.log(magnitude[peak - 1 : peak + 2])
    return float((peak + (a - c) / (2 * (a - 2 * b + c))) * SAMPLE_RATE / size)


@pytest.mark.parametrize("frequency_hz", [82.41, 196.0, 440.0, 659.26, 1174.66])
def test_a_string_is_in_tune_within_two_cents(frequency_hz: float) -> None:
    string = Pluck(frequency_hz=(frequency_hz, frequency_hz), t60_seconds=(8, 8))
    for seed in range(3):
        samples = string.render(2 * SAMPLE_RATE, SAMPLE_RATE, np.random.default_rng(seed))[0]
        cents = 1200 * np.log2(fundamental_hz(samples, frequency_hz) / frequency_hz)
        assert abs(cents) < 2


@pytest.mark.parametrize("frequency_hz", [80.0, 331.7, 1200.0])
@pytest.mark.parametrize("n_samples", [1, 50, 20_011])
def test_the_comb_equals_a_recursive_filter(frequency_hz: float, n_samples: int) -> None:
    feedback = loop(frequency_hz, 2.0, SAMPLE_RATE)
    burst = np.random.default_rng(0).uniform(-1, 1, 300)
    recursive = lfilter([1.0], np.append(1.0, -feedback[1:]), np.pad(burst, (0, 20_000))[:n_samples])
    assert np.abs(comb(burst, feedback, n_samples) - recursive).max() < 1e-6


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
def test_the_loop_never_amplifies(sample_rate: int) -> None:
    for frequency_hz in np.geomspace(20, 2000, 200):
        feedback = loop(frequency_hz, 60.0, sample_rate)
        assert feedback[0] == 0.0
        assert np.abs(np.fft.rfft(feedback, 8192)).max() <= 1.0


def test_a_string_rings_for_its_time_to_60_db() -> None:
    string = Pluck(frequency_hz=(220, 220), t60_seconds=(1, 1))
    samples = string.render(SAMPLE_RATE, SAMPLE_RATE, np.random.default_rng(0))[0].astype(np.float64)
    carrier = np.exp(-2j * np.pi * 220 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    level_db = [20 * np.log10(abs(np.mean((samples * carrier)[at : at + 4_410]))) for at in (4_410, 26_460)]
    assert level_db[0] - level_db[1] == pytest.approx(30.0, abs=1.0)  # half a second apart


def test_high_partials_die_first() -> None:
    samples = Pluck().render(SAMPLE_RATE, SAMPLE_RATE, np.random.default_rng(0))[0]
    early, late = (np.abs(np.fft.rfft(part)) ** 2 for part in (samples[:8_000], samples[-8_000:]))
    split = 8_000 * 5_000 // SAMPLE_RATE
    assert late[split:].sum() / late.sum() < 0.1 * early[split:].sum() / early.sum()
