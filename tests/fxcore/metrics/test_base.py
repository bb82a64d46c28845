import math

import pytest
import torch
from torch import Tensor

from fxcore.metrics import METRICS, measure
from fxcore.metrics.base import Metric, ratio


class First(Metric):
    """The first sample of the pred, summed."""

    name = "first"
    unit = ""
    worst = 10.0

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:  # every metric is given all
        return pred[:, 0, 0].sum()

    def divide(self, sums: Tensor) -> Tensor:
        return sums


def value_of(*samples: float) -> float:
    metric = First(44_100)
    for sample in samples:
        signal = torch.full((1, 1, 4), sample)
        metric.update(signal, signal, signal)
    return metric.value()


@pytest.mark.parametrize(
    ("samples", "expected"),
    [((1.0, 2.0), 3.0), ((11.0,), 10.0), ((math.inf,), 10.0), ((math.nan, 1.0), 10.0), ((), 10.0)],
)
def test_values_add_up_and_worst_bounds_them(samples: tuple[float, ...], expected: float) -> None:
    assert value_of(*samples) == expected


def test_sums_are_kept_in_double_precision() -> None:
    assert value_of(*[0.1] * 50, 1e-9) - value_of(*[0.1] * 50) == pytest.approx(1e-9, rel=1e-3)


@pytest.mark.parametrize(
    ("dry", "wet", "pred"),
    [
        ((1, 1, 8), (1, 1, 8), (1, 1, 7)),
        ((1, 1, 8), (1, 1, 8), (1, 8)),
        ((1, 1, 8), (2, 1, 8), (1, 1, 8)),
        ((8,), (8,), (8,)),
        ((1, 2, 8), (1, 2, 8), (1, 2, 8)),
    ],
)
def test_shapes_that_would_broadcast_are_refused(
    dry: tuple[int, ...], wet: tuple[int, ...], pred: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"must share one shape \(B, 1, T\); got"):
        First(44_100).update(torch.zeros(dry), torch.zeros(wet), torch.zeros(pred))


@pytest.mark.parametrize(
    ("sums", "expected"), [((1.0, 4.0), 0.25), ((0.0, 0.0), 0.0), ((1.0, 0.0), math.inf)]
)
def test_a_ratio_without_any_error_is_zero(sums: tuple[float, float], expected: float) -> None:
    assert float(ratio(torch.tensor(sums))) == expected


def test_measure_gives_every_metric_by_name() -> None:
    random = torch.Generator().manual_seed(0)
    dry, noise = torch.randn(2, 1, 1, 4_000, generator=random).mul(0.1)
    wet = torch.tanh(9 * dry)
    figures = measure([(dry, wet, wet + noise), (dry, wet, wet)], 48_000)
    assert list(figures) == list(METRICS)
    assert {"mr_stft", "esr", "esr_pre", "log_mel", "log_mel_share", "level_difference"} <= set(figures)
    assert figures["esr"] == pytest.approx(float(noise.square().sum() / (2 * wet.square().sum())), rel=1e-5)
    assert all(0 < value < METRICS[name].worst for name, value in figures.items())


def test_measuring_nothing_is_the_worst() -> None:
    assert measure([], 44_100) == {name: metric.worst for name, metric in METRICS.items()}
