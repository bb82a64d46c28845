"""A stack of causal convolutions over one signal, run on whole windows or block by block."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def causal_conv(conv: nn.Conv1d, signal: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Convolve (B, C, T) without padding, or, given the layer's `past` inputs, keeping the length.

    Returns the output and the past for the next block. `past` is (B, C, (k - 1) * dilation).
    """
    joined, past = _joined(signal, past)
    return conv(joined), past


def causal_max(signal: Tensor, taps: int, dilation: int, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The largest of `taps` samples, `dilation` apart, of (B, C, T); `past` as for `causal_conv`."""
    joined, past = _joined(signal, past)
    return F.max_pool1d(joined, taps, stride=1, dilation=dilation), past


def _joined(signal: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The signal after its past, and the past for the next block."""
    if past is None:
        return signal, None
    joined = torch.cat([past, signal], dim=-1)
    return joined, joined[..., joined.shape[-1] - past.shape[-1] :]


def memory_samples(conv: nn.Conv1d) -> int:
    """Past inputs that the layer needs."""
    return (conv.kernel_size[0] - 1) * conv.dilation[0]


def receptive_field(kernels: Sequence[int], dilations: Sequence[int]) -> int:
    """Samples that one output of a stack of convolutions depends on."""
    return 1 + sum((k - 1) * d for k, d in zip(kernels, dilations, strict=True))
