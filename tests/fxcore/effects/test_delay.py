import numpy as np
import pytest

from fxcore.effects.delay import Delay


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
@pytest.mark.parametrize("delay_seconds", [0.1, 0.25])
def test_echoes_come_at_their_samples_and_fall_by_the_feedback(
    delay_seconds: float, sample_rate: int
) -> None:
    dry = np.eye(1, sample_rate, 10, dtype=np.float32)
    wet = Delay(delay_seconds=delay_seconds, feedback=0.5, mix=0.4)(dry, sample_rate)[0]
    expected = np.zeros(sample_rate)
    expected[10] = 0.6
    apart = round(delay_seconds * sample_rate)
    echoes = np.arange(10 + apart, sample_rate, apart)
    expected[echoes] = 0.4 * 0.5 ** np.arange(len(echoes))
    assert np.abs(wet - expected).max() < 1e-6
