import math

import numpy as np
import pytest
import torch

from fxcore.metrics.level import LevelDifference, k_weighted_energy, k_weighting


def sine(hz: float, sample_rate: int, seconds: float = 2.0) -> torch.Tensor:
    time_s = torch.arange(int(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return torch.sin(2 * math.pi * hz * time_s).view(1, 1, -1)


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(seed))


def test_sections_at_48_khz_are_those_of_the_standard() -> None:
    """ITU-R BS.1770-4, tables 1 and 2."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(k_weighting(48_000), [shelf, high_pass], rtol=0, atol=1e-12)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
def test_a_full_scale_sine_at_997_hz_reads_minus_3_01_lkfs(sample_rate: int) -> None:
    """The standard's own calibration: its offset is -0.691 dB."""
    tone = sine(997.0, sample_rate)
    loudness = -0.691 + 10 * math.log10(float(k_weighted_energy(tone, sample_rate)) / tone.numel())
    assert loudness == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("gain_db", [-20.0, -3.0, 6.0])
def test_a_gain_is_its_distance_in_lu(gain_db: float) -> None:
    wet, metric = noise(8_000), LevelDifference(44_100)
    metric.update(wet, wet, 10 ** (gain_db / 20) * wet)
    assert metric.value() == pytest.approx(abs(gain_db), rel=1e-5)


def test_treble_counts_4_db_more_and_an_offset_nothing() -> None:
    treble, middle, metric = sine(10_000.0, 48_000), sine(500.0, 48_000), LevelDifference(48_000)
    metric.update(middle, middle, treble)
    assert metric.value() == pytest.approx(4.0, abs=0.1)
    shifted = LevelDifference(48_000)
    shifted.update(middle, middle, middle + 0.05)
    assert shifted.value() < 0.01


def test_recordings_weigh_by_their_energy() -> None:
    metric = LevelDifference(44_100)
    metric.update(noise(4_000), noise(4_000), noise(4_000))
    metric.update(noise(4_000, 1), 3 * noise(4_000, 1), 0 * noise(4_000, 1))
    energies = [float(k_weighted_energy(noise(4_000, seed), 44_100)) for seed in (0, 1)]
    expected = 10 * math.log10((energies[0] + 9 * energies[1]) / energies[0])
    assert metric.value() == pytest.approx(expected, rel=1e-6)


def test_phase_and_polarity_do_not_count() -> None:
    wet, metric = noise(8_000), LevelDifference(44_100)
    metric.update(wet, wet, -wet)
    assert metric.value() == 0.0
