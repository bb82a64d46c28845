"""A pooled conv net whose maxima are those of shifted copies: torch's pooling fixes the block's length."""

import torch
from torch import Tensor

from fxcore.models import State
from fxcore.models.conv import ConvNet
from fxcore.models.convolution import causal_conv


class ShiftedMaxima(ConvNet):
    """`conv` with or without pooling; its state is the same."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__(net.spec)
        self.load_state_dict(net.state_dict())
        self.requires_grad_(False)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, after = dry / self.scale[0], []
        for conv, past in zip(self._layers(), state, strict=False):
            hidden, now = causal_conv(conv, hidden, past)
            hidden = hidden.relu()
            after.append(now)
        if self.spec.pool > 1:
            joined, length = torch.cat([state[-1], hidden], dim=-1), hidden.shape[-1]
            after.append(joined[..., length:])
            for shift in range(self.spec.pool - 1):
                at = shift * self.pool_dilation
                hidden = torch.maximum(hidden, joined[..., at : at + length])
        for layer in self.linear[:-1]:
            hidden = layer(hidden).relu()
        return self.linear[-1](hidden), tuple(past for past in after if past is not None)
