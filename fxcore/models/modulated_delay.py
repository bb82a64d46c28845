"""`modulated_delay`: a copy of the dry whose delay swings up and down; chorus, flanger, vibrato.

The delay follows a periodic path of a few harmonics. What reads between the samples is a polynomial of the
delay's fraction (Farrow, "A continuously variable digital delay element", 1988), which holds any usual
interpolation and a short filter of the wet path; what the delay line puts out may be fed back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.models.base import EffectModel, ModelSpec, Nature, State
from fxcore.models.delay_path import STEEPEST
from fxcore.models.modulated_delay_fit import CUBIC, ahead_of, direct_shapes, fit_delay, placed

POWERS = len(CUBIC)


class ModulatedDelaySpec(ModelSpec):
    """A delay of at most `max_delay_samples`, read by `taps` taps, on a path of some `harmonics`.

    The direct path is a filter of `direct_taps`. `loop_taps` 0 is without feedback.
    """

    kind: Literal["modulated_delay"] = "modulated_delay"
    max_delay_samples: int = Field(2048, ge=64, le=65_536)
    harmonics: int = Field(3, ge=1, le=16)
    taps: int = Field(6, ge=4, le=64)
    direct_taps: int = Field(256, ge=1, le=4096)
    loop_taps: int = Field(2, ge=0, le=16)

    fitted: ClassVar[bool] = True
    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    made_for: ClassVar[Nature | None] = Nature(linear=True, time_varying=True)
    ranges: ClassVar[Mapping[str, Any]] = {
        "max_delay_samples": [1_024, 4_096],
        "harmonics": [1, 12],
        "taps": [4, 24],
        "direct_taps": [1, 512],
        "loop_taps": [0, 4],
    }
    starts: ClassVar[Sequence[Mapping[str, Any]]] = ({}, {"harmonics": 8, "taps": 12})

    def _build(self) -> EffectModel:
        return ModulatedDelay(self)


class ModulatedDelay(EffectModel):
    """The network of a `ModulatedDelaySpec`.

    Its state is what went into the delay line (B, 1, max_delay + taps), the past of the direct path
    (B, 1, direct_taps - 1), past outputs of the line (B, 1, loop_taps - 1), and the phase of the path in
    cycles (B,), float64, which keeps exact for days.
    """

    spec: ModulatedDelaySpec
    shapes: Tensor  # (m, direct_taps)
    turns: Tensor  # (2 H, 1): of cosine and sine of each harmonic, in radians per cycle
    quarters: Tensor  # (2 H, 1): a sine is a cosine late by a quarter
    exponents: Tensor  # (POWERS,)

    def __init__(self, spec: ModulatedDelaySpec) -> None:
        super().__init__(spec)
        shapes = torch.from_numpy(direct_shapes(spec.direct_taps)).float()
        self.register_buffer("shapes", shapes, persistent=False)
        numbers = torch.arange(1, spec.harmonics + 1, dtype=torch.float64).repeat_interleave(2)
        quarters = torch.tensor([0.0, torch.pi / 2], dtype=torch.float64).repeat(spec.harmonics)
        self.register_buffer("turns", 2 * torch.pi * numbers[:, None], persistent=False)
        self.register_buffer("quarters", quarters[:, None], persistent=False)
        self.register_buffer("exponents", torch.arange(POWERS), persistent=False)
        self.direct = nn.Parameter(0.5 * torch.eye(1, len(shapes))[0])
        self.kernel = nn.Parameter(0.5 * torch.from_numpy(placed(CUBIC, spec.taps)).float())
        self.loop = nn.Parameter(0.2 * torch.eye(1, spec.loop_taps)[0])
        swing = torch.zeros(1 + 2 * spec.harmonics, dtype=torch.float64)
        swing[0], swing[2] = spec.max_delay_samples / 4, spec.max_delay_samples / 16
        self.swing = nn.Parameter(swing)  # in samples: mean, then cosine and sine of each harmonic
        self.triangle = nn.Parameter(
            torch.zeros(3, dtype=torch.float64)
        )  # half its height, its corners' phases
        self.rate = nn.Parameter(torch.tensor(2e-5, dtype=torch.float64))  # cycles per sample

    @property
    def context_samples(self) -> int:
        """None: a context would have to say when it was played."""
        return 0

    def zero_state(self, batch: int) -> State:
        spec = self.spec
        lengths = (spec.max_delay_samples + spec.taps, spec.direct_taps - 1, max(spec.loop_taps - 1, 0))
        lines = [self.scale.new_zeros(batch, 1, length) for length in lengths]
        return *lines, self.scale.new_zeros(batch, dtype=torch.float64)

    @torch.no_grad()
    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        *lines, phase = self.zero_state(batch)
        return *lines, (phase + self.rate * start_sample) % 1.0

    def forward(self, dry: Tensor) -> Tensor:
        return self.step(dry, self.zero_state(len(dry)))[0]

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        line, past, outputs, phase = state
        dry = dry / self.scale[0]
        joined = torch.cat([past, dry], dim=-1)
        direct = F.conv1d(joined, (self.direct @ self.shapes).flip(0)[None, None])
        whole, weights = self._taps(phase, dry.shape[-1])
        if bool(self.loop.any()):
            delayed, line, outputs = self._recur(dry, line, outputs, whole, weights)
        else:
            line = torch.cat([line, dry], dim=-1)
            delayed = self._read(line, whole, weights, self.spec.max_delay_samples + self.spec.taps)
        after = (phase + self.rate * dry.shape[-1]) % 1.0
        kept = self.spec.max_delay_samples + self.spec.taps
        state = (line[..., -kept:], joined[..., dry.shape[-1] :], outputs, after)
        return direct + delayed, state

    def _taps(self, phase: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Whole parts (B, T) of the delay from a phase (B,) on, and weights (B, T, K), the newest first."""
        spec = self.spec
        now = phase[:, None] + self.rate * torch.arange(length, device=phase.device)  # (B, T)
        waves = torch.cos(now[:, None] * self.turns - self.quarters)  # (B, 2 H, T)
        delay = self.swing[0] + torch.einsum("h,bht->bt", self.swing[1:], waves)
        if self._has_corners():
            delay = delay + self.triangle[0] * triangle(now, self.triangle[1], self.triangle[2])
        delay = delay.clamp(ahead_of(spec.taps) + 1, spec.max_delay_samples)
        whole = delay.detach().floor()
        powers = (delay - whole).to(self.kernel.dtype)[..., None] ** self.exponents  # (B, T, POWERS)
        return whole.long(), powers @ self.kernel

    def _has_corners(self) -> bool:
        """Whether a triangle is part of the delay."""
        return bool(self.triangle[0])

    def _read(self, line: Tensor, whole: Tensor, weights: Tensor, begin: int) -> Tensor:
        """Outputs (B, 1, T) of a line (B, 1, begin + T or more) for its samples from `begin` on."""
        newest = begin + torch.arange(whole.shape[1], device=line.device) - whole + ahead_of(self.spec.taps)
        index = newest[..., None] - torch.arange(self.spec.taps, device=line.device)  # (B, T, K)
        heard = line[:, 0].gather(1, index.flatten(1)).view(index.shape)
        return (heard * weights).sum(dim=-1)[:, None]

    def _recur(
        self, dry: Tensor, line: Tensor, outputs: Tensor, whole: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, 1, T), the line and past outputs with feedback.

        As many samples at once as lie between a sample and the newest one that it hears.
        """
        begin, length, past = line.shape[-1], dry.shape[-1], outputs.shape[-1]
        closest = int(whole.min()) - ahead_of(self.spec.taps) if length else 1
        line = torch.cat([line, dry], dim=-1)
        outputs = torch.cat([outputs, torch.zeros_like(dry)], dim=-1)
        backwards = self.loop.flip(0)[None, None]
        for start in range(0, length, closest):
            end = min(start + closest, length)
            read = self._read(line, whole[:, start:end], weights[:, start:end], begin + start)
            outputs[..., past + start : past + end] = read
            line[..., begin + start : begin + end] += F.conv1d(outputs[..., start : past + end], backwards)
        return outputs[..., past:], line, outputs[..., length:]

    @torch.no_grad()
    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        scaled = [
            r._replace(dry=r.dry / float(self.scale[0]), wet=r.wet / float(self.scale[1])) for r in recordings
        ]
        fitted = fit_delay(
            scaled,
            sample_rate,
            shapes=self.shapes.double().cpu().numpy(),
            taps=self.spec.taps,
            loop_taps=self.spec.loop_taps,
            harmonic_count=self.spec.harmonics,
            max_delay_samples=self.spec.max_delay_samples,
        )
        for parameter, values in (
            (self.direct, fitted.direct),
            (self.kernel, fitted.kernel),
            (self.loop, fitted.loop),
            (self.swing, fitted.path.swing),
            (self.triangle, fitted.path.triangle),
            (self.rate, fitted.path.rate),
        ):
            parameter.copy_(torch.as_tensor(values))


def triangle(phase: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """From -1 at phase `low` up to 1 at `high` and back, all in cycles."""
    rise = ((high - low) % 1.0).clamp(STEEPEST, 1 - STEEPEST)
    since = (phase - low) % 1.0
    return torch.minimum(2 * since / rise - 1, 1 - 2 * (since - rise) / (1 - rise))
