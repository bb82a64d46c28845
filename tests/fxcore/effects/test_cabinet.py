from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from fxcore import audio
from fxcore.effects.cabinet import MAGNITUDE, minimum_phase, read_response, synthetic_response
from fxcore.errors import AudioError


def gain_db(response: np.ndarray, frequency_hz: float, sample_rate: int) -> float:
    turns = np.exp(-2j * np.pi * frequency_hz / sample_rate * np.arange(len(response)))
    return float(20 * np.log10(abs(response @ turns)))


def test_minimum_phase_recovers_a_filter_from_its_magnitude_alone() -> None:
    poles_and_zeros_inside = lfilter([1.0, -0.5, 0.2], [1.0, 0.6, 0.3], np.eye(1, 1_024)[0])
    magnitude_db = 20 * np.log10(np.abs(np.fft.rfft(poles_and_zeros_inside)))
    assert np.abs(minimum_phase(magnitude_db, 1_024) - poles_and_zeros_inside).max() < 1e-9


def test_a_synthetic_cabinet_has_the_magnitude_asked_for() -> None:
    response = synthetic_response(44_100)
    loudest_db = max(level_db for _, level_db in MAGNITUDE)
    for frequency_hz, level_db in MAGNITUDE[2:-3]:
        assert gain_db(response, frequency_hz, 44_100) == pytest.approx(level_db - loudest_db, abs=1.0)


def test_a_synthetic_cabinet_sounds_the_same_at_every_sample_rate() -> None:
    for frequency_hz in (105, 800, 2_300):
        gains = [gain_db(synthetic_response(rate), frequency_hz, rate) for rate in (16_000, 44_100, 96_000)]
        assert np.ptp(gains) < 0.2


def test_a_synthetic_cabinet_answers_at_once() -> None:
    response = synthetic_response(44_100)
    assert np.sum(response[:44] ** 2) > 0.9 * np.sum(response**2)  # one millisecond


def test_a_response_loses_its_silence_and_is_scaled_to_a_peak_gain_of_0_db(tmp_path: Path) -> None:
    file = tmp_path / "box.wav"
    audio.write(file, np.array([[0, 0, 0, 0.25, 0.125, 0, 0.0625]], np.float32), 44_100)
    assert read_response(file, 44_100) == pytest.approx(np.array([4, 2, 0, 1]) / 7)


def test_a_stereo_response_at_another_rate_is_mixed_and_resampled(tmp_path: Path) -> None:
    file = tmp_path / "box.wav"
    response = synthetic_response(96_000)
    audio.write(file, np.stack([1.5 * response, 0.5 * response]).astype(np.float32), 96_000)
    read = read_response(file, 44_100)
    for frequency_hz in (105, 800, 2_300, 4_300):
        expected_db = gain_db(synthetic_response(44_100), frequency_hz, 44_100)
        assert gain_db(read, frequency_hz, 44_100) == pytest.approx(expected_db, abs=0.2)


def test_a_silent_or_missing_response_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "box.wav"
    with pytest.raises(AudioError, match="does not exist"):
        read_response(file, 44_100)
    audio.write(file, np.zeros((1, 100), np.float32), 44_100)
    with pytest.raises(AudioError, match="silent"):
        read_response(file, 44_100)
