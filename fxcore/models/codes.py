"""Distributions over codes: what they expect and how likely a code is, from one softmax.

Plain autograd goes over the (B, C, N) logits some ten times, which at 1,024 codes costs far more
than the network itself. Here the gradient is written out: for shares p = softmax(raw), expected
values e_k = sum_c p_c level_kc and likelihood L = mean log p_code,

    d e_k / d raw_c = p_c (level_kc - e_k)        d L / d raw_c = (1[c = code] - p_c) / (B N)

so that one product of rank K + 1 and one multiplication by p are all that is left to do.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LEAST_SHARE = 1e-37  # a likelihood ends at -85 nats, its gradient does not


def expect(raw: Tensor, levels: Tensor) -> Tensor:
    """Expected values (B, K, N) of `levels` (K, C) under the logits `raw` (B, C, N)."""
    dim = _codes_dim(raw)
    return _weighted(_laid_out(raw, dim).softmax(dim), levels, dim)


def expect_and_judge(raw: Tensor, levels: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """As `expect`, and the mean log likelihood, a scalar, of the codes (B, N)."""
    dim = _codes_dim(raw)
    judge: Callable[..., tuple[Tensor, Tensor]] = _ExpectAndJudge.apply
    return judge(_laid_out(raw, dim), levels, codes, dim)


class _ExpectAndJudge(torch.autograd.Function):
    """On logits laid out with the codes along `dim`, 1 or 2."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, levels: Tensor, codes: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        shares = raw.softmax(dim)
        expected = _weighted(shares, levels, dim)
        likelihood = shares.gather(dim, codes.unsqueeze(dim)).clamp(min=LEAST_SHARE).log().mean()
        ctx.save_for_backward(shares, levels, codes, expected)
        ctx.dim = dim
        return expected, likelihood

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        shares, levels, codes, expected = ctx.saved_tensors
        of_expected, each = grads[0], grads[1] / codes.numel()
        offset = -(of_expected * expected).sum(dim=1, keepdim=True) - each  # (B, 1, N)
        factors = torch.cat([of_expected, offset], dim=1)  # (B, K + 1, N)
        basis = torch.cat([levels, torch.ones_like(levels[:1])])  # (K + 1, C)
        grad = basis.T @ factors if ctx.dim == 1 else factors.transpose(1, 2) @ basis
        grad.mul_(shares)
        grad.scatter_add_(ctx.dim, codes.unsqueeze(ctx.dim), each.expand_as(codes).unsqueeze(ctx.dim))
        return grad, None, None, None


def _codes_dim(raw: Tensor) -> int:
    """Where the codes of (B, C, N) logits lie: 2 where the network put them side by side in memory."""
    return 2 if raw.stride(1) == 1 else 1


def _laid_out(raw: Tensor, dim: int) -> Tensor:
    return raw if dim == 1 else raw.transpose(1, 2)


def _weighted(shares: Tensor, levels: Tensor, dim: int) -> Tensor:
    """Sums (B, K, N) over the codes of levels (K, C) times shares."""
    return levels @ shares if dim == 1 else (shares @ levels.T).transpose(1, 2)
