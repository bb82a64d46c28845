import numpy as np
import pytest

from fxcore.effects.compressor import Compressor

SAMPLE_RATE = 44_100


def steady(level_db: float) -> np.ndarray:
    return np.full((1, SAMPLE_RATE), 10 ** (level_db / 20), np.float32)


@pytest.mark.parametrize("ratio", [1.0, 4.0, 100.0])
@pytest.mark.parametrize("level_db", [-40.0, -21.0, -10.0, 0.0])
def test_a_steady_level_leaves_on_the_static_curve(ratio: float, level_db: float) -> None:
    wet = Compressor(threshold_db=-20, ratio=ratio)(steady(level_db), SAMPLE_RATE)
    expected_db = level_db if level_db < -20 else -20 + (level_db + 20) / ratio
    assert 20 * np.log10(wet[0, -1]) == pytest.approx(expected_db, abs=0.01)


def test_the_attack_lets_the_first_samples_pass() -> None:
    wet = Compressor(threshold_db=-20, attack_ms=50)(steady(0.0), SAMPLE_RATE)[0]
    assert wet[0] > 0.98
    assert np.all(np.diff(wet[:5_000]) <= 1e-6)


def test_the_release_brings_the_level_back() -> None:
    dry = np.concatenate([steady(0.0), steady(-30.0)], axis=1)
    quick, slow = (
        Compressor(threshold_db=-20, release_ms=release_ms)(dry, SAMPLE_RATE)[0, SAMPLE_RATE:] / dry[0, -1]
        for release_ms in (20, 1_000)
    )
    assert quick[SAMPLE_RATE // 10] == pytest.approx(1.0)
    assert slow[SAMPLE_RATE // 10] < 0.5
