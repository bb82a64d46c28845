"""State spaces in real numbers and without chunks: a block meets the responses of all oscillators at once."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fxcore.models import EffectModel, State
from fxcore.models.s4d import S4dNet


class RealS4d(EffectModel):
    """`s4d` as a program; its state is the same."""

    def __init__(self, net: S4dNet) -> None:
        super().__init__(net.spec)
        self.net, self.scale = net, net.scale

    @property
    def context_samples(self) -> int:
        return self.net.context_samples

    def zero_state(self, batch: int) -> State:
        return self.net.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        net = self.net
        hidden = net.rechannel[:, None] * (dry / self.scale[0])[0]  # (H, T)
        after = []
        for i, past in enumerate(zip(state[0][0], state[1][0], strict=True)):
            heard, now = self._ring(i, hidden, past)
            signal, gate = (net.gates[i] @ heard + net.bias[i]).chunk(2)
            hidden = hidden + net.mix[i] @ (signal.tanh() * gate.sigmoid())
            after.append(now)
        raw = net.head(hidden[None])
        return raw, tuple(torch.stack(parts)[None] for parts in zip(*after, strict=True))

    def _ring(
        self, i: int, signal: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs (H, T) of a layer's oscillators for a signal (H, T), and their states' parts (H, N)."""
        net, length = self.net, signal.shape[-1]
        decay, rate = net.log_decay[i].exp(), net.log_rate[i].exp()
        ages = torch.arange(length + 1)
        size, angle = torch.exp(-decay[..., None] * ages), rate[..., None] * ages
        real, imag = size * angle.cos(), size * angle.sin()  # a^0 .. a^T, (H, N, T + 1)
        weight = net.weight[i] * (1 - torch.exp(-decay))[..., None]
        weight_real, weight_imag = weight[..., 0, None], weight[..., 1, None]
        response = (weight_real * real - weight_imag * imag).sum(dim=1)[:, :length]
        padded = F.pad(signal, (length - 1, 0))
        driven = F.conv1d(padded[None], response.flip(1)[:, None], groups=signal.shape[0])[0]
        before_real, before_imag = (part[..., None] for part in state)
        rung_real = real * before_real - imag * before_imag
        rung_imag = real * before_imag + imag * before_real
        rung = (weight_real * rung_real - weight_imag * rung_imag).sum(dim=1)[:, 1:]
        entered = signal.flip(1)[:, None]  # what came last has aged least
        after = (
            rung_real[..., length] + (real[..., :length] * entered).sum(dim=-1),
            rung_imag[..., length] + (imag[..., :length] * entered).sum(dim=-1),
        )
        return driven + rung + signal * net.direct[i][:, None], after
