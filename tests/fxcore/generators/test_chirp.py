import numpy as np
from scipy.signal import hilbert

from fxcore.generators.chirp import Chirp

SAMPLE_RATE = 44_100


def instantaneous_hz(samples: np.ndarray) -> np.ndarray:
    phase = np.unwrap(np.angle(hilbert(samples.astype(np.float64))))
    return np.diff(phase)[1_000:-1_000] * SAMPLE_RATE / (2 * np.pi)


def test_a_chirp_stays_within_its_frequencies_and_moves() -> None:
    for seed in range(20):
        chirp = Chirp(frequency_hz=(200, 1200), glides_per_second=(1, 1))
        frequency_hz = instantaneous_hz(
            chirp.render(SAMPLE_RATE, SAMPLE_RATE, np.random.default_rng(seed))[0]
        )
        assert frequency_hz.min() > 195
        assert frequency_hz.max() < 1220
        assert np.ptp(frequency_hz) > 5


def test_a_chirp_goes_there_and_back() -> None:
    chirp = Chirp(glides_per_second=(4, 4))  # there and back in half a second
    frequency_hz = instantaneous_hz(chirp.render(SAMPLE_RATE, SAMPLE_RATE, np.random.default_rng(1))[0])
    period = SAMPLE_RATE // 2
    assert np.ptp(frequency_hz) > 100
    assert np.abs(np.log(frequency_hz[period:] / frequency_hz[:-period])).mean() < 0.01


def test_speeds_differ_from_note_to_note() -> None:
    rng = np.random.default_rng(0)
    turns = []
    for _ in range(20):
        frequency_hz = instantaneous_hz(Chirp().render(2 * SAMPLE_RATE, SAMPLE_RATE, rng)[0])
        turns.append(np.abs(np.diff(np.log(frequency_hz))).sum())
    assert max(turns) > 4 * min(turns)
