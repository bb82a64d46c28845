import pytest
import torch

from fxcore.metrics.log_mel import LogMel, LogMelShare


def noise(samples: int) -> torch.Tensor:
    return 0.3 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(samples))


@pytest.mark.parametrize("gain_db", [-12.0, 6.0])
def test_a_gain_is_its_distance_in_db(gain_db: float) -> None:
    wet, metric = noise(8_000), LogMel(44_100)
    metric.update(wet, wet, 10 ** (gain_db / 20) * wet)
    assert metric.value() == pytest.approx(abs(gain_db), rel=1e-4)


def test_distances_average_over_frames() -> None:
    long, short, metric = noise(511 + 3 * 512), noise(511), LogMel(44_100)  # 4 frames and 1
    short = torch.cat([short, torch.zeros(1, 1, 1_025 - 511)], dim=2)  # the shortest that reflects: 3 frames
    metric.update(long, long, long)
    metric.update(short, short, 0 * short)
    alone = LogMel(44_100)
    alone.update(short, short, 0 * short)
    assert metric.value() == pytest.approx(alone.value() * 3 / 7, rel=1e-5)


def test_share_is_the_distance_over_that_of_the_dry() -> None:
    dry, metric = noise(8_000), LogMelShare(44_100)
    metric.update(dry, 10 * dry, 10 ** (15 / 20) * dry)  # wet 20 dB above the dry, pred 15 dB
    assert metric.value() == pytest.approx(5 / 20, rel=1e-4)


def test_share_of_an_effect_that_does_nothing_is_worst_unless_exact() -> None:
    dry, wrong, exact = noise(4_000), LogMelShare(44_100), LogMelShare(44_100)
    wrong.update(dry, dry, 0.5 * dry)
    exact.update(dry, dry, dry)
    assert (wrong.value(), exact.value()) == (LogMelShare.worst, 0.0)
