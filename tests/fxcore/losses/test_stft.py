import auraloss
import pytest
import torch

from fxcore.losses import esr_loss, mr_stft, mr_stft_loss, mr_stft_sums


def pair(batch: int, samples: int, level: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(samples)
    dry = level * torch.randn(batch, 1, samples, generator=random)
    wet = torch.tanh(5 * dry)
    return wet + 0.1 * torch.randn(batch, 1, samples, generator=random), wet


@pytest.mark.parametrize(("batch", "samples"), [(1, 1_025), (1, 44_100), (3, 5_000)])
def test_equals_auraloss(batch: int, samples: int) -> None:
    pred, wet = pair(batch, samples)
    expected = auraloss.freq.MultiResolutionSTFTLoss()(pred, wet)
    assert float(mr_stft_loss(pred, wet)) == pytest.approx(float(expected), rel=1e-4)


def test_gradient_equals_auraloss() -> None:
    pred, wet = pair(2, 3_000)
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    mr_stft_loss(ours, wet).backward()
    auraloss.freq.MultiResolutionSTFTLoss()(theirs, wet).backward()
    assert float(esr_loss(ours.grad, theirs.grad, floor=0.0)) < 1e-6


def test_a_pred_without_any_error_has_zero_distance_and_a_finite_gradient() -> None:
    _, wet = pair(1, 2_000)
    pred = wet.clone().requires_grad_()
    loss = mr_stft_loss(pred, wet)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_sums_of_two_recordings_add_up_to_those_of_their_batch() -> None:
    pred, wet = pair(2, 4_000)
    apart = mr_stft_sums(pred[:1], wet[:1]) + mr_stft_sums(pred[1:], wet[1:])
    torch.testing.assert_close(apart, mr_stft_sums(pred, wet), rtol=1e-5, atol=0)
    torch.testing.assert_close(mr_stft(apart), mr_stft_loss(pred, wet), rtol=1e-5, atol=0)


def test_phase_does_not_count() -> None:
    _, wet = pair(1, 4_000)
    assert float(mr_stft_loss(-wet, wet)) == 0.0


def test_silence_and_short_signals_are_finite() -> None:
    silence = torch.zeros(1, 1, 100)
    assert float(mr_stft_loss(silence, silence)) == 0.0
    assert torch.isfinite(mr_stft_loss(silence + 0.5, silence))
