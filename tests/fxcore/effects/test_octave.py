import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from fxcore.effects.octave import Octave

SAMPLE_RATE = 44_100


def swelling_noise(seconds: float, sample_rate: int) -> np.ndarray:
    """Noise whose level changes twenty times a second, (1, T)."""
    rng = np.random.default_rng(1)
    n_samples = int(seconds * sample_rate)
    levels = rng.uniform(0, 0.2, int(20 * seconds) + 1)
    level = np.interp(np.arange(n_samples) / sample_rate, np.arange(len(levels)) / 20, levels)
    return (level * rng.standard_normal(n_samples)).astype(np.float32)[None]


def lateness_ms(dry: np.ndarray, wet: np.ndarray, sample_rate: int) -> float:
    """Where the envelopes of two signals (1, T) correlate best."""
    smooth = butter(2, 60, fs=sample_rate, output="sos")
    a, b = (sosfiltfilt(smooth, signal[0].astype(np.float64) ** 2) for signal in (dry, wet))
    size = 2 * len(a)
    spectrum = np.fft.rfft(b - b.mean(), size) * np.conj(np.fft.rfft(a - a.mean(), size))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    return 1000 * (lag - size if lag > size // 2 else lag) / sample_rate


def test_no_mix_returns_the_dry() -> None:
    dry = swelling_noise(1, SAMPLE_RATE)
    assert np.array_equal(Octave(mix=0)(dry, SAMPLE_RATE), dry)


@pytest.mark.parametrize("semitones", [-24.0, -12.0, -5.0, 0.0, 7.0, 12.0])
@pytest.mark.parametrize("frequency_hz", [110.0, 440.0])
def test_a_tone_is_shifted_by_its_semitones_and_stays_pure(semitones: float, frequency_hz: float) -> None:
    tone = np.sin(2 * np.pi * frequency_hz / SAMPLE_RATE * np.arange(3 * SAMPLE_RATE)).astype(np.float32)
    wet = Octave(semitones=semitones)(tone[None], SAMPLE_RATE)[0, SAMPLE_RATE : 2 * SAMPLE_RATE]
    amplitudes = np.abs(np.fft.rfft(wet * np.hanning(SAMPLE_RATE)))
    shifted = np.abs(np.arange(len(amplitudes)) - frequency_hz * 2 ** (semitones / 12)) < 3
    assert amplitudes[shifted].max() > 20 * amplitudes[~shifted].max()


@pytest.mark.parametrize("semitones", [-24.0, -12.0, -5.0, 7.0, 12.0])
@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_the_energy_of_the_wet_lies_within_three_milliseconds_of_the_delay(
    semitones: float, sample_rate: int
) -> None:
    dry = swelling_noise(5, sample_rate)
    assert lateness_ms(dry, Octave(semitones=semitones)(dry, sample_rate), sample_rate) == pytest.approx(
        25, abs=3
    )
    at_once = Octave(semitones=semitones, delay_ms=0)(dry, sample_rate)
    assert lateness_ms(dry, at_once, sample_rate) == pytest.approx(0, abs=3)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("start_s", [0.5, 0.507])
def test_a_note_an_octave_down_is_not_heard_before_it_starts(sample_rate: int, start_s: float) -> None:
    start = round(start_s * sample_rate)
    note = 0.5 * np.sin(2 * np.pi * 440 / sample_rate * np.arange(sample_rate // 2))
    dry = np.pad(note, (start, 0)).astype(np.float32)[None]
    heard, ahead = (
        np.abs(Octave(delay_ms=delay_ms)(dry, sample_rate)[0, :start]).max() for delay_ms in (25.0, 0.0)
    )
    assert heard < 0.5 * 10 ** (-45 / 20)
    assert ahead > 0.1


def test_the_wet_does_not_drift() -> None:
    dry = swelling_noise(30, 16_000)
    wet = Octave(delay_ms=0)(dry, 16_000)
    assert abs(lateness_ms(dry[:, -80_000:], wet[:, -80_000:], 16_000)) < 3
