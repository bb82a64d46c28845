import numpy as np
import pytest

from fxcore.effects.distortion import Distortion


@pytest.mark.parametrize("drive_db", [0.0, 25.0, 60.0])
@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_distortion_equals_tanh_of_the_amplified_dry(drive_db: float, sample_rate: int) -> None:
    dry = np.random.default_rng(0).uniform(-1, 1, (1, 10_000)).astype(np.float32)
    wet = Distortion(drive_db=drive_db)(dry, sample_rate)
    assert np.abs(wet - np.tanh(10 ** (drive_db / 20) * dry)).max() < 1e-5
