"""Long filters without frames: a program has no place for the loop over transforms."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcore.models import State
from fxcore.models.long_convolution import Filters

PART_TAPS = 256


class PlainFilters(nn.Module):
    """Impulse responses in parts of 256 taps, each convolved with a stretch of the past."""

    def __init__(self, filters: Filters) -> None:
        super().__init__()
        channels, taps = filters.taps.shape
        self.channels, self.parts = channels, math.ceil(taps / PART_TAPS)
        padded = F.pad(filters.taps.detach(), (0, self.parts * PART_TAPS - taps))
        kernels = padded.reshape(channels, self.parts, PART_TAPS).flip(1, 2)  # the oldest first
        self.register_buffer("kernels", kernels.reshape(-1, 1, PART_TAPS).contiguous())

    state_tensors = 1

    def convolution(self) -> "PlainFilters":
        return self

    def zero_state(self, batch: int) -> State:
        return (torch.zeros(batch, self.channels, self.parts * PART_TAPS - 1),)

    def step(self, signal: Tensor, state: State) -> tuple[Tensor, State]:
        """The filtered sum (1, 1, T) of a block (1, C, T), and the state after it."""
        joined = torch.cat([state[0], signal], dim=-1)
        length = signal.shape[-1]
        begins = PART_TAPS * torch.arange(self.parts)[:, None]
        stretches = joined[0][:, (begins + torch.arange(length + PART_TAPS - 1)).flatten()]
        stretches = stretches.reshape(1, self.channels * self.parts, length + PART_TAPS - 1)
        kernels = cast(Tensor, self.kernels)
        filtered = F.conv1d(stretches, kernels, groups=len(kernels)).sum(dim=1, keepdim=True)
        return filtered, (joined[..., length:],)
