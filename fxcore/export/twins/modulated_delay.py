"""A modulated delay whose feedback goes sample by sample, in a loop of the program's own."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops import scan

from fxcore.models import State
from fxcore.models.modulated_delay import ModulatedDelay


class ScannedDelay(ModulatedDelay):
    """`modulated_delay` whose feedback goes sample by sample."""

    def __init__(self, net: ModulatedDelay) -> None:
        super().__init__(net.spec)
        self.load_state_dict(net.state_dict())
        self.requires_grad_(False)
        self.fed_back = bool(net.loop.any())
        self.has_corners = bool(net.triangle[0])

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        line, past, outputs, phase = state
        dry = dry / self.scale[0]
        joined = torch.cat([past, dry], dim=-1)
        direct = F.conv1d(joined, (self.direct @ self.shapes).flip(0)[None, None])
        whole, weights = self._taps(phase, dry.shape[-1])
        if self.fed_back:
            begin = line.shape[-1]
            (line, outputs), delayed = scan(self._one, (line, outputs), (dry[0, 0], whole[0], weights[0]))
            delayed = delayed[None, None]
            assert line.shape[-1] == begin
        else:
            line = torch.cat([line, dry], dim=-1)
            delayed = self._read(line, whole, weights, self.spec.max_delay_samples + self.spec.taps)
            line = line[..., dry.shape[-1] :]
        after = phase + self.rate * dry.shape[-1]
        return direct + delayed, (line, joined[..., dry.shape[-1] :], outputs.clone(), after - after.floor())

    def _has_corners(self) -> bool:
        return self.has_corners  # a program cannot ask whether a tensor is zero

    def _one(self, carried: State, heard: State) -> tuple[State, Tensor]:
        """One sample of the line (1, 1, L) with its past outputs (1, 1, loop_taps - 1)."""
        (line, outputs), (dry, whole, weights) = carried, heard
        longer = torch.cat([line, torch.zeros_like(line[..., :1])], dim=-1)
        out = self._read(longer, whole[None, None], weights[None, None], line.shape[-1])
        fed_back = torch.cat([outputs, out], dim=-1)
        entered = dry + (fed_back * self.loop.flip(0)).sum(dim=-1, keepdim=True)
        line = torch.cat([line[..., 1:], entered], dim=-1)
        if outputs.shape[-1] > 0:
            outputs = torch.cat([outputs[..., 1:], out], dim=-1)
        return (line, outputs.clone()), out[0, 0, 0].clone()
