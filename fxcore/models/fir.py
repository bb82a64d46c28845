"""`fir`: one impulse response, by least squares: all that is linear and stays the same in time.

Equalisers, cabinets, echoes and reverbs. Played by partitioned convolution, without latency.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.least_squares import passages, solve_fir
from fxcore.models.base import EffectModel, ModelSpec, Nature, State, TrainingSpec
from fxcore.models.long_convolution import Filters


class FirSpec(ModelSpec):
    """An impulse response of `taps` samples and a constant; 480,000 are 10 seconds at 48 kHz."""

    kind: Literal["fir"] = "fir"
    taps: int = Field(65_536, ge=1, le=480_000)

    training: ClassVar[TrainingSpec] = TrainingSpec(batch=1, block_samples=16)
    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    fitted: ClassVar[bool] = True
    made_for: ClassVar[Nature | None] = Nature(linear=True)
    ranges: ClassVar[Mapping[str, Any]] = {"taps": [64, 262_144]}
    starts: ClassVar[Sequence[Mapping[str, Any]]] = ({"taps": 2_048}, {"taps": 32_768}, {"taps": 131_072})

    @property
    def receptive_field(self) -> int:
        return self.taps

    def _build(self) -> EffectModel:
        return FirNet(self)


class FirNet(EffectModel):
    """The network of a `FirSpec`; its state is its convolution's."""

    spec: FirSpec

    def __init__(self, spec: FirSpec) -> None:
        super().__init__(spec)
        self.filters = Filters(1, spec.taps)
        self.bias = nn.Parameter(torch.zeros(1))

    def zero_state(self, batch: int) -> State:
        return self.filters.convolution().zero_state(batch)

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        filtered, state = self.filters.convolution().step(dry / self.scale[0], state)
        return filtered + self.bias, state

    @torch.no_grad()
    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        fitted = solve_fir(passages(recordings), self.spec.taps, bias=True)
        dry_scale, wet_scale = self.scale.double().tolist()
        self.filters.taps.copy_(torch.from_numpy(fitted.taps * (dry_scale / wet_scale)))
        self.bias.fill_(fitted.bias / wet_scale)
