import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fxcore.models.codes import expect, expect_and_judge

LEVELS = torch.stack([torch.linspace(-1, 1, 12, dtype=torch.float64), torch.arange(12).double() ** 2])
BY_LAYOUT = pytest.mark.parametrize("side_by_side", [False, True], ids=["apart", "side by side"])


def logits(side_by_side: bool) -> Tensor:
    """(3, 12, 5), its codes as a convolution or as a linear layer puts them into memory."""
    raw = torch.randn(3, 12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    raw = raw.transpose(1, 2).contiguous().transpose(1, 2) if side_by_side else raw
    assert (raw.stride(1) == 1) == side_by_side
    return raw.requires_grad_()


def codes() -> Tensor:
    return torch.randint(12, (3, 5), generator=torch.Generator().manual_seed(1))


@BY_LAYOUT
def test_expected_values_are_sums_over_shares(side_by_side: bool) -> None:
    raw = logits(side_by_side)
    expected = torch.einsum("bcn,kc->bkn", raw.softmax(dim=1), LEVELS)
    torch.testing.assert_close(expect(raw, LEVELS), expected)
    torch.testing.assert_close(expect_and_judge(raw, LEVELS, codes())[0], expected)


@BY_LAYOUT
def test_likelihood_is_that_of_cross_entropy(side_by_side: bool) -> None:
    raw = logits(side_by_side)
    _, likelihood = expect_and_judge(raw, LEVELS, codes())
    torch.testing.assert_close(likelihood, -F.cross_entropy(raw, codes()))


@BY_LAYOUT
def test_the_gradient_written_out_is_that_of_autograd(side_by_side: bool) -> None:
    raw, again = logits(side_by_side), logits(side_by_side)
    expected, likelihood = expect_and_judge(raw, LEVELS, codes())
    (expected.square().sum() - 7 * likelihood).backward()
    (expect(again, LEVELS).square().sum() + 7 * F.cross_entropy(again, codes())).backward()
    torch.testing.assert_close(raw.grad, again.grad)


@BY_LAYOUT
def test_a_code_held_for_impossible_still_has_its_gradient(side_by_side: bool) -> None:
    raw = torch.zeros(1, 4, 2) if not side_by_side else torch.zeros(1, 2, 4).transpose(1, 2)
    raw[:, 0] = 500.0
    raw.requires_grad_()
    _, likelihood = expect_and_judge(raw, torch.ones(1, 4), torch.ones(1, 2, dtype=torch.int64))
    likelihood.backward()
    assert likelihood.isfinite()
    torch.testing.assert_close(raw.grad, torch.tensor([-0.5, 0.5, 0.0, 0.0])[None, :, None].expand(1, 4, 2))
