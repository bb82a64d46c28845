"""What holds for every metric in the registry."""

import math

import pytest
import torch
from torch import Tensor

from fxcore.metrics import METRICS, Metric

SAMPLE_RATE = 44_100
EVERY = pytest.mark.parametrize("metric_class", METRICS.values(), ids=METRICS.keys())


def recording(seed: int, samples: int = 6_000) -> tuple[Tensor, Tensor, Tensor]:
    """A dry, its wet (overdriven) and a pred somewhat off, (1, 1, T) each."""
    random = torch.Generator().manual_seed(seed)
    dry = 0.2 * torch.randn(1, 1, samples, generator=random)
    wet = torch.tanh(8 * dry)
    return dry, wet, 0.9 * wet + 0.05 * torch.randn(1, 1, samples, generator=random)


def value_of(metric_class: type[Metric], *recordings: tuple[Tensor, Tensor, Tensor]) -> float:
    metric = metric_class(SAMPLE_RATE)
    for dry, wet, pred in recordings:
        metric.update(dry, wet, pred)
    return metric.value()


@EVERY
def test_registered_under_its_name_with_a_unit_and_a_finite_worst(metric_class: type[Metric]) -> None:
    assert METRICS[metric_class.name] is metric_class
    assert isinstance(metric_class.unit, str)
    assert 0 < metric_class.worst < math.inf


@EVERY
def test_zero_for_the_wet_itself(metric_class: type[Metric]) -> None:
    dry, wet, _ = recording(0)
    assert value_of(metric_class, (dry, wet, wet)) == 0.0


@EVERY
def test_between_zero_and_worst_for_a_pred_that_is_off(metric_class: type[Metric]) -> None:
    assert 0 < value_of(metric_class, recording(0)) < metric_class.worst


@EVERY
def test_grows_with_the_error(metric_class: type[Metric]) -> None:
    dry, wet, pred = recording(0)
    further = wet + 3 * (pred - wet)
    assert value_of(metric_class, (dry, wet, pred)) < value_of(metric_class, (dry, wet, further))


@EVERY
def test_two_recordings_one_by_one_equal_their_batch(metric_class: type[Metric]) -> None:
    """Sums add up whatever the order and grouping of whole recordings (cutting one moves its frames)."""
    first, second = recording(0), recording(1)
    dry, wet, pred = (torch.cat(pair) for pair in zip(first, second, strict=True))
    together = value_of(metric_class, (dry, wet, pred))
    assert value_of(metric_class, first, second) == pytest.approx(together, rel=1e-5)
    assert value_of(metric_class, second, first) == pytest.approx(together, rel=1e-5)


@EVERY
def test_a_recording_heard_twice_changes_nothing(metric_class: type[Metric]) -> None:
    once = value_of(metric_class, recording(0))
    assert value_of(metric_class, recording(0), recording(0)) == pytest.approx(once, rel=1e-9)


@EVERY
def test_value_may_be_asked_at_any_time(metric_class: type[Metric]) -> None:
    metric = metric_class(SAMPLE_RATE)
    assert metric.value() == metric.worst  # nothing measured is not perfect
    metric.update(*recording(0))
    first = metric.value()
    assert metric.value() == first
    metric.update(*recording(1))
    assert metric.value() == value_of(metric_class, recording(0), recording(1))


@EVERY
@pytest.mark.parametrize("sample", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("where", ["once", "everywhere"])
def test_a_diverged_pred_is_worst(metric_class: type[Metric], sample: float, where: str) -> None:
    dry, wet, pred = recording(0)
    diverged = pred.clone() if where == "once" else torch.full_like(pred, sample)
    diverged[..., 3_000] = sample
    assert value_of(metric_class, (dry, wet, diverged), recording(1)) == metric_class.worst


@EVERY
@pytest.mark.parametrize("gain", [0.0, 1e-20, 1e3, 1e10, 1e18])
def test_finite_at_any_level(metric_class: type[Metric], gain: float) -> None:
    dry, wet, pred = recording(0)
    for signals in ((dry, gain * wet, pred), (dry, wet, gain * pred), (gain * dry, gain * wet, gain * pred)):
        assert 0 <= value_of(metric_class, signals) <= metric_class.worst


@EVERY
@pytest.mark.parametrize("samples", [1, 100, 1_024])
def test_finite_for_short_recordings(metric_class: type[Metric], samples: int) -> None:
    assert 0 <= value_of(metric_class, recording(0, samples)) <= metric_class.worst


@EVERY
def test_silence_answered_with_silence_is_exact_and_with_sound_is_not(metric_class: type[Metric]) -> None:
    dry, _, pred = recording(0)
    silence = torch.zeros_like(dry)
    assert value_of(metric_class, (dry, silence, silence)) == 0.0
    assert 0 < value_of(metric_class, (dry, silence, pred)) <= metric_class.worst


@EVERY
def test_inputs_are_left_alone_and_no_gradient_is_kept(metric_class: type[Metric]) -> None:
    dry, wet, pred = recording(0)
    trained = pred.clone().requires_grad_()
    metric = metric_class(SAMPLE_RATE)
    metric.update(dry, wet, trained)
    assert isinstance(metric.value(), float)
    assert trained.grad is None
    assert all(torch.equal(a, b) for a, b in zip((dry, wet, trained), recording(0), strict=True))


@EVERY
@pytest.mark.gpu
def test_a_gpu_gives_the_value_of_the_cpu(metric_class: type[Metric]) -> None:
    dry, wet, pred = recording(0)
    on_gpu = value_of(metric_class, (dry.cuda(), wet.cuda(), pred.cuda()))
    assert on_gpu == pytest.approx(value_of(metric_class, (dry, wet, pred)), rel=1e-4)


def test_esr_of_silence_is_1() -> None:
    dry, wet, _ = recording(0)
    assert value_of(METRICS["esr"], (dry, wet, 0 * wet)) == 1.0


def test_log_mel_share_of_the_dry_itself_is_1() -> None:
    dry, wet, _ = recording(0)
    assert value_of(METRICS["log_mel_share"], (dry, wet, dry)) == 1.0
