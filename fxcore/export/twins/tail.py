"""A recurrent net's tail, whose convolution is always direct."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcore.models.tail import Tail


class DirectTail(nn.Module):
    """An impulse response (taps,)."""

    def __init__(self, tail: Tail) -> None:
        super().__init__()
        self.memory_samples = tail.memory_samples
        self.register_buffer("backwards", tail.taps.detach().flip(0)[None, None].clone())

    def forward(self, signal: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As the tail does."""
        joined = torch.cat([past, signal], dim=-1)
        return F.conv1d(joined, self.get_buffer("backwards")), joined[..., signal.shape[-1] :]
