import pytest
import torch

from fxcore.losses import esr_loss, esr_sums


def noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 1, 500, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("gain", "expected"), [(1.0, 0.0), (0.0, 1.0), (-1.0, 4.0), (0.5, 0.25), (2.0, 1.0)])
def test_esr_of_a_scaled_wet_is_the_squared_gain_error(gain: float, expected: float) -> None:
    wet = noise()
    assert float(esr_loss(gain * wet, wet, floor=0.0)) == pytest.approx(expected, abs=1e-6)


def test_one_ratio_is_taken_over_the_whole_batch() -> None:
    pred, wet = noise(1), noise(2) * torch.tensor([1.0, 0.1, 0.01, 0.0]).view(4, 1, 1)
    error_energy, wet_energy = esr_sums(pred, wet)
    halves = [esr_sums(pred[rows], wet[rows]) for rows in (slice(0, 2), slice(2, 4))]
    assert float(sum(half[0] for half in halves)) == pytest.approx(float(error_energy), rel=1e-6)
    assert float(sum(half[1] for half in halves)) == pytest.approx(float(wet_energy), rel=1e-6)
    assert float(esr_loss(pred, wet, floor=0.0)) == pytest.approx(float(error_energy / wet_energy), rel=1e-6)


def test_floor_is_an_energy_per_sample() -> None:
    silence, ones = torch.zeros(2, 1, 10), torch.ones(2, 1, 10)
    assert float(esr_loss(ones, silence, floor=0.5)) == pytest.approx(2.0)
    assert float(esr_loss(silence, silence, floor=1e-5)) == 0.0


def test_gradient_is_twice_the_error_over_the_energy() -> None:
    pred, wet = noise(1).requires_grad_(), noise(2)
    esr_loss(pred, wet, floor=0.0).backward()
    torch.testing.assert_close(pred.grad, (2 * (pred - wet) / wet.square().sum()).detach())
