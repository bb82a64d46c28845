"""`hammerstein`: powers of the dry, each with a filter of its own; the diagonal of a Volterra series.

The generalised polynomial Hammerstein model (Farina, "Simultaneous measurement of impulse response and
distortion", 2000; Novak et al., 2010), by least squares on any audio in place of a swept sine. Chebyshev
polynomials of the dry over its range stand for the powers, as they differ more from one another.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.least_squares import Passage, solve_fir
from fxcore.models.base import EffectModel, ModelSpec, Nature, State, TrainingSpec
from fxcore.models.long_convolution import Filters

MOST_UNKNOWNS = 16_384


class HammersteinSpec(ModelSpec):
    """`order` polynomials, a filter of `taps` samples for each, and a constant."""

    kind: Literal["hammerstein"] = "hammerstein"
    order: int = Field(9, ge=1, le=32)
    taps: int = Field(256, ge=1, le=8_192)

    training: ClassVar[TrainingSpec] = TrainingSpec(batch=1, block_samples=16)
    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    fitted: ClassVar[bool] = True
    made_for: ClassVar[Nature | None] = Nature(linear=False)
    ranges: ClassVar[Mapping[str, Any]] = {"order": [2, 12], "taps": [32, 1024]}

    @model_validator(mode="after")
    def _solvable(self) -> Self:
        if self.order * self.taps > MOST_UNKNOWNS:
            raise ValueError(
                f"order times taps must be at most {MOST_UNKNOWNS}; got {self.order} x {self.taps} = "
                f"{self.order * self.taps}; take a lower order or fewer taps"
            )
        return self

    @property
    def receptive_field(self) -> int:
        return self.taps

    def _build(self) -> EffectModel:
        return HammersteinNet(self)


class HammersteinNet(EffectModel):
    """The network of a `HammersteinSpec`; its state is its convolution's."""

    spec: HammersteinSpec
    reach: Tensor  # scalar: the loudest dry sample it was fitted to, in deviations

    def __init__(self, spec: HammersteinSpec) -> None:
        super().__init__(spec)
        self.filters = Filters(spec.order, spec.taps)
        self.bias = nn.Parameter(torch.zeros(1))
        self.register_buffer("reach", torch.tensor(8.0))

    def zero_state(self, batch: int) -> State:
        return self.filters.convolution().zero_state(batch)

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        powers = polynomials(dry / (self.scale[0] * self.reach), self.spec.order)
        filtered, state = self.filters.convolution().step(powers, state)
        return filtered + self.bias, state

    @torch.no_grad()
    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        dry_scale, wet_scale = self.scale.double().tolist()
        peak = max(max(float(np.abs(r.dry).max(initial=0.0)) for r in recordings), dry_scale)
        self.reach.fill_(peak / dry_scale)

        def passage(recording: Recording) -> Passage:
            dry = torch.from_numpy(recording.dry / np.float32(peak))[None]
            powers = polynomials(dry, self.spec.order)[0].numpy()
            return Passage(powers, recording.wet[0], recording.start_sample == 0)

        fitted = solve_fir([passage(r) for r in recordings], self.spec.taps, bias=True)
        self.filters.taps.copy_(torch.from_numpy(fitted.taps / wet_scale))
        self.bias.fill_(fitted.bias / wet_scale)


def polynomials(dry: Tensor, order: int) -> Tensor:
    """Chebyshev polynomials 1 .. `order` of a dry (B, 1, T) within ±1, (B, order, T); 0 where it is 0.

    Beyond ±1, where nothing is known, they stay as they are at the border.
    """
    degrees = torch.arange(1, order + 1, dtype=dry.dtype, device=dry.device)[:, None]
    return torch.cos(degrees * torch.acos(dry.clamp(-1.0, 1.0))) - torch.cos(degrees * (0.5 * math.pi))
