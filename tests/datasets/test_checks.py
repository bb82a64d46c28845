"""Checks: levels that are known exactly, and none where there is no telling."""

import numpy as np
import pytest

from datasets.checks import noise_floor_db, offset_dbfs
from fxcore.audio import Signal

RATE = 8000
SECONDS = 10
RNG = np.random.default_rng(0)
TONE = 0.5 * np.sin(2 * np.pi * 200 * np.arange(SECONDS * RATE) / RATE)[None].astype(np.float32)
ON = (np.arange(SECONDS * RATE) // RATE % 2 == 1)[None]
DRY = np.where(ON, TONE, np.float32(0))  # a second of silence, a second of tone, and so on


def noise(level_db: float) -> Signal:
    """Against a peak of 0.5."""
    return (RNG.normal(0, 0.5 * 10 ** (level_db / 20), DRY.shape)).astype(np.float32)


@pytest.mark.parametrize("offset", [0.01, -0.01])
def test_an_offset_is_told_in_decibels_whatever_else_sounds(offset: float) -> None:
    assert offset_dbfs(TONE + np.float32(offset)) == pytest.approx(-40.0, abs=0.01)


def test_the_worst_channel_counts() -> None:
    assert offset_dbfs(np.concatenate([TONE, TONE + np.float32(0.1), TONE])) == pytest.approx(-20.0, abs=0.01)
    assert offset_dbfs(np.zeros((1, RATE), np.float32)) < -200


@pytest.mark.parametrize("level_db", [-30.0, -55.0, -75.0])
def test_noise_is_measured_in_the_pauses_of_the_dry(level_db: float) -> None:
    assert noise_floor_db(DRY, DRY + noise(level_db), RATE) == pytest.approx(level_db, abs=0.8)


def test_hum_is_noise_and_an_offset_is_not() -> None:
    hum = 0.005 * np.sin(2 * np.pi * 50 * np.arange(DRY.shape[1]) / RATE)[None].astype(np.float32)
    assert noise_floor_db(DRY, DRY + hum, RATE) == pytest.approx(-43.0, abs=0.3)
    assert noise_floor_db(DRY, DRY + np.float32(0.1), RATE) == pytest.approx(-150.0, abs=30)


def test_a_tail_is_no_noise() -> None:
    """The tone fades by 60 dB in 3 s, so that it sounds through every pause."""
    tail = 10 ** (-3 * np.arange(3 * RATE) / (3 * RATE)) * RNG.normal(0, 0.01, 3 * RATE)
    wet = np.convolve(DRY[0], tail)[: DRY.shape[1]][None].astype(np.float32)
    wet[:, :RATE] = wet[:, 2 * RATE : 3 * RATE]  # nor is it quiet before the first sound
    assert noise_floor_db(DRY, wet, RATE) is None


def test_without_pauses_there_is_no_telling() -> None:
    assert noise_floor_db(TONE, TONE + noise(-30), RATE) is None
    hardly = TONE.copy()
    hardly[:, : round(0.3 * RATE)] = 0
    assert noise_floor_db(hardly, hardly + noise(-30), RATE) is None
