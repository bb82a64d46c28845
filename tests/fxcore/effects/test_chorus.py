import numpy as np
import pytest

from fxcore.effects.chorus import Chorus

SAMPLE_RATE = 48_000


def impulse_response(chorus: Chorus) -> np.ndarray:
    return chorus(np.eye(1, SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)[0]


def test_no_mix_returns_the_dry() -> None:
    dry = np.random.default_rng(0).uniform(-1, 1, (1, 5_000)).astype(np.float32)
    assert np.array_equal(Chorus(mix=0)(dry, SAMPLE_RATE), dry)


@pytest.mark.parametrize("centre_delay_ms", [1.0, 7.0, 20.0])
def test_without_depth_the_copy_comes_after_the_centre_delay(centre_delay_ms: float) -> None:
    response = impulse_response(Chorus(depth=0, centre_delay_ms=centre_delay_ms, mix=0.5))
    copy = round(centre_delay_ms * SAMPLE_RATE / 1000)
    assert response[0] == pytest.approx(0.5)
    assert response[copy - 2 : copy + 3].sum() == pytest.approx(0.5, abs=1e-3)


def test_the_delay_swings_with_its_rate() -> None:
    clicks = np.zeros((1, 4 * SAMPLE_RATE), np.float32)
    clicks[0, :: SAMPLE_RATE // 20] = 1.0
    wet = Chorus(rate_hz=0.5, depth=0.25, centre_delay_ms=7, mix=1)(clicks, SAMPLE_RATE)[0]
    delays = np.argmax(np.abs(wet.reshape(80, -1)), axis=1)
    assert np.ptp(delays) > 50
    swing = np.abs(np.fft.rfft(delays - delays.mean()))
    assert np.argmax(swing) == 2  # two swings in four seconds
