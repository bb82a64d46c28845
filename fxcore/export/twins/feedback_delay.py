"""An echo for blocks no longer than its delay, within which nothing comes back."""

import torch
from torch import Tensor

from fxcore.models import EffectModel, State
from fxcore.models.feedback_delay import FeedbackDelay, filtered


class ShortBlockDelay(EffectModel):
    """`feedback_delay` for short blocks; its state is the same."""

    def __init__(self, net: FeedbackDelay) -> None:
        super().__init__(net.spec)
        self.scale, self.taps = net.scale, net.spec.taps
        self.longest_block = int(net.delay_samples)
        for name in ("direct", "echo", "loop"):
            self.register_buffer(name, getattr(net, name).detach())

    @property
    def context_samples(self) -> int:
        return 0

    def zero_state(self, batch: int) -> State:
        past = torch.zeros(batch, 1, self.longest_block + self.taps - 1)
        return past, past

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        past_dry, past_wet = state
        length = dry.shape[-1]
        heard = torch.cat([past_dry, dry / self.scale[0]], dim=-1)
        wet = filtered(heard[..., self.longest_block :], self.get_buffer("direct"))
        wet = wet + filtered(heard[..., : length + self.taps - 1], self.get_buffer("echo"))
        wet = wet + filtered(past_wet[..., : length + self.taps - 1], self.get_buffer("loop"))
        return wet, (heard[..., length:], torch.cat([past_wet, wet], dim=-1)[..., length:])
