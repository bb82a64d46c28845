"""`wiener_hammerstein`: a filter, a static nonlinearity, a filter; distortions and what they play through.

The nonlinearity is a sum of tanh units and a straight line. It begins, with the output filter, by least
squares: filters for all units at once, their nearest product of one filter and one shape (Bai, "An optimal
two-stage identification algorithm for Hammerstein-Wiener nonlinear systems", 1998), then each in turn for the
other. Gradients refine all three.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from scipy import signal
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.least_squares import Array, Fir, Passage, solve_fir
from fxcore.models.base import PREDICT_BLOCK_SAMPLES, EffectModel, ModelSpec, Nature, State, TrainingSpec
from fxcore.models.long_convolution import Filters

FIRST_TAPS = 96  # of the filters for all units at once
FIRST_SECONDS = 20.0  # of excerpts that they are fitted to
EXCERPT_SAMPLES = 32_768
TRAINED_TAPS = 4_096  # a longer output filter is solved, not trained: steps would be noise all over it
SOLVED_EXCERPT = 8  # times its taps: an excerpt that it is solved from while the rest is trained
ALTERNATIONS = 4
RIDGE_DB = -80.0  # units that hardly differ must not cancel each other


class WienerHammersteinSpec(ModelSpec):
    """A filter of `input_taps`, `units` of tanh, and a filter of `output_taps` samples."""

    kind: Literal["wiener_hammerstein"] = "wiener_hammerstein"
    input_taps: int = Field(32, ge=1, le=4_096)
    units: int = Field(16, ge=1, le=128)
    output_taps: int = Field(256, ge=1, le=480_000)

    training: ClassVar[TrainingSpec] = TrainingSpec(batch=2, block_samples=8192, learning_rate=1e-3)
    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    made_for: ClassVar[Nature | None] = Nature(linear=False)
    ranges: ClassVar[Mapping[str, Any]] = {
        "input_taps": [1, 256],
        "units": [4, 64],
        "output_taps": [32, 65_536],
    }
    starts: ClassVar[Sequence[Mapping[str, Any]]] = ({}, {"output_taps": 2_048})

    @property
    def receptive_field(self) -> int:
        return self.input_taps + self.output_taps - 1

    def _build(self) -> EffectModel:
        return WienerHammersteinNet(self)


class Shape(nn.Module):
    """A static nonlinearity through the origin, of (B, 1, T)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        gains = 10 ** torch.linspace(-1.0, 1.0, units)  # on a signal of deviation 1
        self.gains = nn.Parameter(gains)
        self.offsets = nn.Parameter(torch.randn(units) * gains.clamp(max=1.0))
        self.weights = nn.Parameter(torch.randn(units) / units)
        self.line = nn.Parameter(torch.ones(1))

    def forward(self, dry: Tensor) -> Tensor:
        shaped: Tensor = torch.cat([self.weights, self.line]) @ self.curves(dry)  # (B, T)
        return shaped[:, None]

    def curves(self, dry: Tensor) -> Tensor:
        """What each unit makes of it, and the line: (B, units + 1, T)."""
        offsets = self.offsets[:, None]
        return torch.cat([torch.tanh(self.gains[:, None] * dry + offsets) - torch.tanh(offsets), dry], dim=1)


class WienerHammersteinNet(EffectModel):
    """The network of a `WienerHammersteinSpec`; its state is its two convolutions'."""

    spec: WienerHammersteinSpec

    def __init__(self, spec: WienerHammersteinSpec) -> None:
        super().__init__(spec)
        self.input = Filters(1, spec.input_taps)
        self.shape = Shape(spec.units)
        self.output = Filters(1, spec.output_taps)
        self.output.taps.requires_grad_(spec.output_taps <= TRAINED_TAPS)
        self.bias = nn.Parameter(torch.zeros(1))

    def zero_state(self, batch: int) -> State:
        return self.input.convolution().zero_state(batch) + self.output.convolution().zero_state(batch)

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)

    def forward(self, dry: Tensor) -> Tensor:
        shaped = self.shape(self.input(dry / self.scale[0]))
        wet: Tensor = self.output(shaped) + self.bias
        return wet

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        into, out = self.input.convolution(), self.output.convolution()
        filtered, before = into.step(dry / self.scale[0], state[: into.state_tensors])
        wet, after = out.step(self.shape(filtered), state[into.state_tensors :])
        return wet + self.bias, before + after

    @torch.no_grad()
    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        self.input.taps.zero_()
        self.input.taps[:, 0] = 1.0
        excerpts = [
            self._passage(r, self.shape.curves)
            for r in _excerpts(recordings, round(FIRST_SECONDS * sample_rate), rng)
        ]
        weights = _nearest_product(excerpts, min(FIRST_TAPS, self.spec.output_taps))
        for _ in range(ALTERNATIONS):
            shaped = [p._replace(inputs=weights[None] @ p.inputs) for p in excerpts]
            fitted = solve_fir(shaped, min(self.spec.output_taps, EXCERPT_SAMPLES // 8), bias=True)
            weights = _solve_shape(excerpts, fitted)
        self.shape.weights.copy_(torch.from_numpy(weights[:-1]))
        self.shape.line.fill_(weights[-1])
        self._solve_output(recordings)

    @torch.no_grad()
    def refine(self, recordings: Sequence[Recording], rng: torch.Generator) -> None:
        if not self.output.taps.requires_grad:
            length = SOLVED_EXCERPT * self.spec.output_taps
            self._solve_output(_excerpts(recordings, 2 * length, rng, length))

    def _solve_output(self, recordings: Sequence[Recording]) -> None:
        """The output filter and the bias of least squared error, given what comes before."""

        def shaped(dry: Tensor) -> Tensor:
            past = dry.new_zeros(*dry.shape[:2], self.spec.input_taps - 1)
            filtered = self.input(torch.cat([past, dry], dim=-1))
            return torch.cat([self.shape(b) for b in torch.split(filtered, PREDICT_BLOCK_SAMPLES, -1)], -1)

        recorded = [self._passage(r, shaped) for r in recordings]
        if all(np.isfinite(p.inputs).all() for p in recorded):  # else training went astray
            fitted = solve_fir(recorded, self.spec.output_taps, bias=True)
            self.output.taps.copy_(torch.from_numpy(fitted.taps))
            self.bias.fill_(fitted.bias)

    def _passage(self, recording: Recording, curves: Callable[[Tensor], Tensor]) -> Passage:
        """Curves of the dry, and the wet, both in deviations."""
        dry = torch.from_numpy(np.array(recording.dry))[None].to(self.scale.device) / self.scale[0]
        inputs = curves(dry)[0]
        target = recording.wet[0] / float(self.scale[1])
        return Passage(inputs.cpu().numpy(), target, recording.start_sample == 0)


def _excerpts(
    recordings: Sequence[Recording], samples: int, rng: torch.Generator, length: int = EXCERPT_SAMPLES
) -> list[Recording]:
    """Excerpts of `length`, `samples` in all, drawn evenly; the whole recordings where there are no more."""
    lengths = [r.dry.shape[-1] for r in recordings]
    if sum(lengths) <= samples:
        return list(recordings)
    found = []
    for at in torch.randint(sum(lengths), (max(samples // length, 1),), generator=rng).tolist():
        index = int(np.searchsorted(np.cumsum(lengths), at, side="right"))
        start = min(at - sum(lengths[:index]), max(lengths[index] - length, 0))
        name, dry, wet, start_sample = recordings[index]
        span = slice(start, start + length)
        found.append(Recording(name, dry[:, span], wet[:, span], start_sample + start))
    return found


def _nearest_product(excerpts: Sequence[Passage], taps: int) -> Array:
    """Weights (units + 1,) of the one shape that, with one filter, comes nearest to a filter for each."""
    filters = solve_fir(excerpts, taps, ridge_db=RIDGE_DB, bias=True).taps
    inputs = np.concatenate([p.inputs for p in excerpts], axis=1, dtype=np.float64)
    power = inputs @ inputs.T / inputs.shape[-1]
    root = np.linalg.cholesky(power + 1e-9 * np.trace(power) * np.eye(len(power)))
    shapes, _, _ = np.linalg.svd(root.T @ filters, full_matrices=False)
    return np.linalg.solve(root.T, shapes[:, 0])


def _solve_shape(excerpts: Sequence[Passage], output: Fir) -> Array:
    """Weights (units + 1,) of least squared error, given the filter after them."""
    filtered = []
    for passage in excerpts:
        first = 0 if passage.after_silence else output.taps.shape[-1] - 1
        curves = signal.oaconvolve(passage.inputs, output.taps, axes=1)[:, first : passage.inputs.shape[-1]]
        filtered.append(Passage(curves, passage.target[first:]))
    return solve_fir(filtered, 1, ridge_db=RIDGE_DB, bias=True).taps[:, 0]
