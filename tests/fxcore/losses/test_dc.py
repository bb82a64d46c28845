import pytest
import torch

from fxcore.losses import dc_loss


def test_dc_loss_is_the_squared_offset_over_the_mean_energy() -> None:
    wet = torch.tensor([[[1.0, -1.0, 1.0, -1.0]], [[2.0, -2.0, 2.0, -2.0]]])  # mean energy 2.5
    assert float(dc_loss(wet + 0.5, wet, floor=0.0)) == pytest.approx(0.25 / 2.5)


def test_offsets_of_opposite_sign_do_not_cancel_across_a_batch() -> None:
    wet = torch.tensor([[[1.0, -1.0]], [[1.0, -1.0]]])
    pred = wet + torch.tensor([0.5, -0.5]).view(2, 1, 1)
    assert float(dc_loss(pred, wet, floor=0.0)) == pytest.approx(0.25)


def test_an_error_without_offset_costs_nothing() -> None:
    wet = torch.tensor([[[1.0, -1.0, 1.0, -1.0]]])
    assert float(dc_loss(3 * wet, wet, floor=0.0)) == 0.0


def test_silence_is_finite() -> None:
    silence = torch.zeros(1, 1, 8)
    assert float(dc_loss(silence, silence, floor=1e-5)) == 0.0
    assert float(dc_loss(silence + 1, silence, floor=0.5)) == pytest.approx(2.0)
