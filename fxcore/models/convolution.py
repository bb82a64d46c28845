"""A stack of causal convolutions over one signal, run on whole windows or block by block."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def causal_conv(conv: nn.Conv1d, signal: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Convolve (B, C, T) without padding, or, given the layer's `past` inputs, keeping the length.

    Returns the output and the past for the next block. `past` is (B, C, (k - 1) * dilation).
    """
    if past is None:
        return conv(signal), None
    joined = torch.cat([past, signal], dim=-1)
    return conv(joined), joined[..., joined.shape[-1] - past.shape[-1] :]


def memory_samples(conv: nn.Conv1d) -> int:
    """Past inputs that the layer needs."""
    return (conv.kernel_size[0] - 1) * conv.dilation[0]


def receptive_field(kernels: Sequence[int], dilations: Sequence[int]) -> int:
    """Samples that one output of a stack of convolutions depends on."""
    return 1 + sum((k - 1) * d for k, d in zip(kernels, dilations, strict=True))
