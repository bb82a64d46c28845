import pytest
import torch

from fxcore.metrics.esr import Esr, EsrPreEmphasised


def alternating(samples: int) -> torch.Tensor:
    """A sine at the Nyquist frequency, (1, 1, T)."""
    return torch.ones(samples).index_fill(0, torch.arange(1, samples, 2), -1.0).view(1, 1, -1)


def test_recordings_weigh_by_their_energy() -> None:
    metric = Esr(44_100)
    loud, quiet = 2 * torch.ones(1, 1, 100), torch.ones(1, 1, 100)
    metric.update(loud, loud, loud)  # exact
    metric.update(quiet, quiet, 0 * quiet)  # silent
    assert metric.value() == pytest.approx(100 / (400 + 100))


@pytest.mark.parametrize("metric_class", [Esr, EsrPreEmphasised])
@pytest.mark.parametrize(("gain", "expected"), [(0.0, 1.0), (-1.0, 4.0), (0.9, 0.01)])
def test_a_gain_error_counts_squared(metric_class: type[Esr], gain: float, expected: float) -> None:
    wet = torch.randn(1, 1, 1_000, generator=torch.Generator().manual_seed(0))
    metric = metric_class(44_100)
    metric.update(wet, wet, gain * wet)
    assert metric.value() == pytest.approx(expected, rel=1e-4)


def test_pre_emphasis_makes_a_treble_error_count_and_an_offset_not() -> None:
    wet = alternating(1_000) + 1  # DC and Nyquist with equal energy
    treble, offset = EsrPreEmphasised(44_100), EsrPreEmphasised(44_100)
    treble.update(wet, wet, torch.ones(1, 1, 1_000))
    offset.update(wet, wet, alternating(1_000))
    weights = 1.95**2, 0.05**2
    assert treble.value() == pytest.approx(weights[0] / sum(weights), rel=1e-4)
    assert offset.value() == pytest.approx(weights[1] / sum(weights), rel=1e-3)
