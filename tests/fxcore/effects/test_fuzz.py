import numpy as np
import pytest

from fxcore.audio import Signal
from fxcore.effects.fuzz import Fuzz
from fxcore.errors import EffectError

SAMPLE_RATE = 44_100


def tone(level_db: float, seconds: float = 1.0, frequency_hz: float = 220.0) -> Signal:
    phase = 2 * np.pi * frequency_hz / SAMPLE_RATE * np.arange(int(seconds * SAMPLE_RATE))
    return (10 ** (level_db / 20) * np.sin(phase)).astype(np.float32)[None]


def harmonics_db(wet: Signal, frequency_hz: int = 220) -> np.ndarray:
    """The first four harmonics of the last half second, against the first."""
    half = wet[0, -SAMPLE_RATE // 2 :]
    amplitudes = np.abs(np.fft.rfft(half * np.hanning(len(half))))[frequency_hz // 2 :: frequency_hz // 2][:4]
    return 20 * np.log10(amplitudes / amplitudes[0])


def test_loud_and_soft_notes_leave_almost_equally_loud() -> None:
    loud, soft = (Fuzz()(tone(level_db), SAMPLE_RATE)[:, SAMPLE_RATE // 2 :].std() for level_db in (-6, -26))
    assert 1 < loud / soft < 3  # ten times apart before


def test_even_harmonics_come_from_bias_and_asymmetry_alone() -> None:
    symmetrical = harmonics_db(Fuzz(bias=0, asymmetry=0, sag=0)(tone(-12), SAMPLE_RATE))
    lopsided = harmonics_db(Fuzz()(tone(-12), SAMPLE_RATE))
    assert symmetrical[1] < -80
    assert lopsided[1] > -30
    assert symmetrical[2] > -20
    assert lopsided[2] > -20


def after(first: Signal, fuzz: Fuzz, from_seconds: float) -> Signal:
    """The wet of a soft note that follows another (1, T), from some time after it began."""
    wet = fuzz(np.concatenate([first, tone(-40, 0.3)], axis=1), SAMPLE_RATE)
    return wet[:, first.shape[1] + int(from_seconds * SAMPLE_RATE) :]


def test_a_note_sounds_different_after_a_loud_one() -> None:
    loud, silence = tone(0, 0.5), np.zeros((1, SAMPLE_RATE // 2), np.float32)
    after_loud, after_silence = (after(first, Fuzz(), 0.02)[:, :1_000] for first in (loud, silence))
    assert np.linalg.norm(after_loud - after_silence) > 0.3 * np.linalg.norm(after_silence)


def test_the_difference_fades_with_the_sag_time() -> None:
    loud, silence = tone(0, 0.5), np.zeros((1, SAMPLE_RATE // 2), np.float32)
    for fuzz, share in [(Fuzz(sag_ms=20), 0.01), (Fuzz(sag=0, input_cutoff_hz=500), 0.001)]:
        after_loud, after_silence = (after(first, fuzz, 0.2) for first in (loud, silence))
        assert np.linalg.norm(after_loud - after_silence) < share * np.linalg.norm(after_silence)


def test_aliases_lie_sixty_decibels_down() -> None:
    wet = Fuzz()(tone(-3, 2, 1_250), SAMPLE_RATE)[0, -SAMPLE_RATE:].astype(np.float64)
    power = np.abs(np.fft.rfft(wet * np.blackman(SAMPLE_RATE))) ** 2
    distance = np.abs((np.arange(len(power)) + 625) % 1_250 - 625)
    assert power[(distance > 20)].sum() < 1e-6 * power.sum()


def test_the_level_scales_the_wet() -> None:
    loud, soft = (Fuzz(level_db=level_db)(tone(-12), SAMPLE_RATE) for level_db in (0, -20))
    assert np.allclose(loud, 10 * soft, atol=1e-5)


def test_a_tone_control_above_half_the_sample_rate_is_refused() -> None:
    with pytest.raises(EffectError, match="tone_hz must lie below half the sample rate, 4000 Hz; got 5000"):
        Fuzz()(np.ones((1, 8), np.float32), 8_000)
