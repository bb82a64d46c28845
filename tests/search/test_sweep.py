"""Responses from a sweep, against closed forms."""

import numpy as np
import pytest
from scipy import signal

from search.sweep import measure_response

RATE = 44_100


def test_a_gain_has_its_level_everywhere_and_no_harmonics():
    found = measure_response(lambda dry: np.float32(0.5) * dry, RATE, 0.3)
    np.testing.assert_allclose(found.level_db, 20 * np.log10(0.5), atol=0.05)
    assert np.nanmax(found.distortion_db) < -70
    assert found.frequency_hz[0] == pytest.approx(30.0)
    assert 18_000 < found.frequency_hz[-1] < 0.45 * RATE


def test_a_filter_has_its_own_response():
    b, a = signal.butter(2, 1000, fs=RATE)
    found = measure_response(lambda dry: signal.lfilter(b, a, dry).astype(np.float32), RATE, 0.3)
    _, true = signal.freqz(b, a, found.frequency_hz, fs=RATE)
    audible = np.abs(true) > 1e-2
    np.testing.assert_allclose(found.level_db[audible], 20 * np.log10(np.abs(true[audible])), atol=0.3)


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        (lambda dry: dry + np.float32(0.2) * dry**2, 0.2 * 0.5 / 2),  # sin² = (1 - cos 2φ) / 2
        (lambda dry: dry + np.float32(0.4) * dry**3, 0.4 * 0.25 / 4 / (1 + 0.4 * 0.75 * 0.25)),
    ],
    ids=["square", "cube"],
)
def test_a_polynomial_has_the_harmonics_of_a_sine(shape, share):
    found = measure_response(shape, RATE, 0.5)
    middle = (found.frequency_hz > 100) & (found.frequency_hz < 4000)
    np.testing.assert_allclose(found.distortion_db[middle], 20 * np.log10(share), atol=0.3)


def test_distortion_ends_where_the_second_harmonic_would_leave_the_band():
    found = measure_response(lambda dry: np.tanh(3 * dry), RATE, 0.5)
    assert np.array_equal(np.isnan(found.distortion_db), found.frequency_hz > 0.95 * 0.225 * RATE)


def test_silence_is_very_quiet_and_finite():
    found = measure_response(lambda dry: 0 * dry, RATE, 0.5)
    assert np.all(found.level_db <= -140)
    assert np.all(np.isfinite(found.level_db))
