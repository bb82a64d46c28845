"""`feedback_delay`: an echo that is fed back; a few short filters at one long delay.

    wet[n] = sum_i direct[i] dry[n - i] + echo[i] dry[n - D - i] + loop[i] wet[n - D - i]

A recursive comb filter (Schroeder, "Natural sounding artificial reverberation", 1962) with filters in place
of its gains: they hold a delay between samples and the tone of the echoes. It costs the same at any delay.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.models.base import EffectModel, ModelSpec, Nature, State
from fxcore.models.feedback_delay_fit import fit_echo


class FeedbackDelaySpec(ModelSpec):
    """An echo at most `max_delay_samples` late; its three filters have `taps` each."""

    kind: Literal["feedback_delay"] = "feedback_delay"
    max_delay_samples: int = Field(65_536, ge=128, le=1 << 20)
    taps: int = Field(64, ge=1, le=1024)

    fitted: ClassVar[bool] = True
    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    made_for: ClassVar[Nature | None] = Nature(linear=True)
    ranges: ClassVar[Mapping[str, Any]] = {"taps": [16, 512], "max_delay_samples": [16_384, 131_072]}

    @model_validator(mode="after")
    def _echo_lies_behind_the_direct_sound(self) -> Self:
        if self.max_delay_samples < 2 * self.taps:
            raise ValueError(
                f"max_delay_samples must be at least twice the taps ({self.taps}); "
                f"got {self.max_delay_samples}"
            )
        return self

    def _build(self) -> EffectModel:
        return FeedbackDelay(self)


class FeedbackDelay(EffectModel):
    """The network of a `FeedbackDelaySpec`; its state is past dry and past wet, (B, 1, D + taps - 1) each."""

    spec: FeedbackDelaySpec
    delay_samples: Tensor  # int64, a scalar

    def __init__(self, spec: FeedbackDelaySpec) -> None:
        super().__init__(spec)
        self.register_buffer("delay_samples", torch.tensor(spec.max_delay_samples // 4))
        first = torch.eye(1, spec.taps)[0]
        self.direct = nn.Parameter(0.7 * first)
        self.echo = nn.Parameter(0.3 * first)
        self.loop = nn.Parameter(0.3 * first)

    @property
    def context_samples(self) -> int:
        """None: silence before the first sample is what an echo starts from."""
        return 0

    def zero_state(self, batch: int) -> State:
        past = self.scale.new_zeros(batch, 1, int(self.delay_samples) + self.spec.taps - 1)
        return past, past

    @torch.no_grad()
    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def forward(self, dry: Tensor) -> Tensor:
        return self.step(dry, self.zero_state(len(dry)))[0]

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        past_dry, past_wet = state
        taps, length = self.spec.taps, dry.shape[-1]
        heard = torch.cat([past_dry, dry / self.scale[0]], dim=-1)
        wet = filtered(heard[..., past_dry.shape[-1] - (taps - 1) :], self.direct)
        wet = wet + filtered(heard[..., : length + taps - 1], self.echo)
        blocks = []
        for block in torch.split(wet, int(self.delay_samples), dim=-1):  # as far as it hears the past alone
            fed = past_wet[..., : block.shape[-1] + taps - 1]
            blocks.append(block + filtered(fed, self.loop))
            past_wet = torch.cat([past_wet, blocks[-1]], dim=-1)[..., block.shape[-1] :]
        return torch.cat(blocks, dim=-1), (heard[..., length:], past_wet)

    @torch.no_grad()
    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        scaled = [
            r._replace(dry=r.dry / float(self.scale[0]), wet=r.wet / float(self.scale[1])) for r in recordings
        ]
        fitted = fit_echo(
            scaled, sample_rate, taps=self.spec.taps, max_delay_samples=self.spec.max_delay_samples
        )
        self.delay_samples.fill_(fitted.delay_samples)
        for parameter, values in (
            (self.direct, fitted.direct),
            (self.echo, fitted.echo),
            (self.loop, fitted.loop),
        ):
            parameter.copy_(torch.from_numpy(values))


def filtered(line: Tensor, taps: Tensor) -> Tensor:
    """A line (B, 1, K - 1 + N) through an impulse response (K,): (B, 1, N)."""
    return F.conv1d(line, taps.flip(0)[None, None])
