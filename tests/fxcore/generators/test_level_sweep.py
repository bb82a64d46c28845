import numpy as np
import pytest

from fxcore.generators.level_sweep import LevelSweep


def test_the_level_rises_evenly_from_60_db_below_full_scale_to_full_scale() -> None:
    sweep = LevelSweep(frequency_hz=(1_000, 1_000)).render(480_000, 48_000, np.random.default_rng(0))[0]
    peaks = np.abs(sweep.reshape(100, 4_800)).max(axis=1)  # a tenth of a second each
    assert 20 * np.log10(peaks) == pytest.approx(-60 + 0.6 * np.arange(1, 101), abs=0.2)
