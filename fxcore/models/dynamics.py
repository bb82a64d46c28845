"""`dynamics`: a compressor or limiter, as its own signal path (Giannoulis, Massberg & Reiss, 2012).

A level detector with attack and release, a static curve, a make-up gain (`fxcore.models.ballistics`), and
all of their settings found from the recordings (`fxcore.models.dynamics_fit`). Where no black box is near,
the right structure is exact.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.models.ballistics import GAIN, KNOTS, LAWS, WINDOW, Array, compiled, rest
from fxcore.models.base import EffectModel, ModelSpec, Nature, State
from fxcore.models.dynamics_fit import fit_dynamics

WARM_UP_SAMPLES = 4096
BLOCK_SECONDS = 80e-6  # whatever the settings, as measured for BENCHMARKS.md
FRESH = (1.0, 200.0, 4000.0, 0.0, 0.0, 0.5, 6.0, 1.0)  # 3:1 above the training dry's deviation


class DynamicsSpec(ModelSpec):
    """`law` says where attack and release act; `any` is whichever fits best."""

    kind: Literal["dynamics"] = "dynamics"
    law: Literal["any", "level", "power", "gain"] = "any"
    max_window_samples: int = Field(4096, ge=1, le=65_536)  # 1: levels are those of single samples

    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    fitted: ClassVar[bool] = True
    made_for: ClassVar[Nature | None] = Nature(linear=False)

    @property
    def compiled_seconds(self) -> float:
        return BLOCK_SECONDS

    def _build(self) -> EffectModel:
        return Dynamics(self)


class Dynamics(EffectModel):
    """The compressor of a `DynamicsSpec`; its state is what `ballistics.play` keeps, float64."""

    spec: DynamicsSpec
    structure: Tensor  # (2,): index of the law, and 1 for feedback

    def __init__(self, spec: DynamicsSpec) -> None:
        super().__init__(spec)
        law = 0 if spec.law == "any" else LAWS.index(spec.law)
        self.settings = nn.Parameter(torch.tensor(FRESH))  # as `ballistics` orders them
        self.bend_db = nn.Parameter(torch.zeros(KNOTS))
        self.register_buffer("structure", torch.tensor([float(law), 0.0]))

    @property
    def context_samples(self) -> int:
        return WARM_UP_SAMPLES

    def zero_state(self, batch: int) -> State:
        states = rest(batch, int(self._all_settings()[WINDOW]))
        return tuple(torch.from_numpy(state).to(self.scale.device) for state in states)

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)  # which is that of silence

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        with torch.no_grad():
            heard = (dry[:, 0] / self.scale[0]).double().cpu().numpy()
            ring, memory = (s.cpu().numpy().copy() for s in state)
            bend_db = self.bend_db.double().cpu().numpy()
            wet = compiled().play(heard, self._all_settings(), bend_db, ring, memory)
            raw = torch.from_numpy(wet).to(dry)[:, None]
            return raw, tuple(torch.from_numpy(s).to(dry.device) for s in (ring, memory))

    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        dry_scale, wet_scale = self.scale.tolist()
        fitted = fit_dynamics(
            recordings,
            sample_rate,
            dry_scale=dry_scale,
            wet_scale=wet_scale,
            laws=LAWS if self.spec.law == "any" else (self.spec.law,),
            max_window_samples=self.spec.max_window_samples,
        )
        with torch.no_grad():
            self.settings.copy_(torch.from_numpy(fitted.settings[: GAIN + 1]))
            self.bend_db.copy_(torch.from_numpy(fitted.bend_db))
            self.structure.copy_(torch.from_numpy(fitted.settings[GAIN + 1 :]))

    def _all_settings(self) -> Array:
        settings = torch.cat([self.settings.detach(), self.structure]).double().cpu().numpy()
        settings[WINDOW] = np.clip(settings[WINDOW], 1.0, self.spec.max_window_samples)
        return settings
