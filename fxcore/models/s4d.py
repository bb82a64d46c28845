"""`s4d`: layers of diagonal linear state spaces with gates between (Gu et al., S4D, 2022).

Each channel of a layer is a bank of damped oscillators, whose time constants go from a few samples
to a second; what mixes and bends the channels is pointwise and gated. The memory is as long as the
slowest oscillator rings, and training sees all of it at once: bias that sags, detectors with slow
release, power supplies.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.diagonal_scan import Chunk, chunk_of, scan

WARM_UP_SAMPLES = 4096
SHORTEST_SAMPLES = 2.0  # the fastest channel's decay


class S4dSpec(ModelSpec):
    """`layers` of `channels`, each with `states` oscillators that decay within 2 to `memory` samples."""

    kind: Literal["s4d"] = "s4d"
    layers: int = Field(4, ge=1, le=16)
    channels: int = Field(16, ge=1, le=256)
    states: int = Field(4, ge=1, le=64)
    memory: int = Field(8192, ge=16, le=1 << 20)

    training: ClassVar[TrainingSpec] = TrainingSpec(
        batch=4, block_samples=1024, blocks=16, learning_rate=0.015
    )

    ranges: ClassVar[Mapping[str, Any]] = {
        "layers": [2, 6],
        "channels": [8, 24],
        "states": [2, 8],
        "memory": [1_024, 65_536],
    }

    def _build(self) -> EffectModel:
        return S4dNet(self)


class Layer(NamedTuple):
    """State space -> gated pointwise -> added to what came in."""

    chunk: Chunk
    gates: Tensor  # (2 H, H)
    bias: Tensor  # (2 H, 1)
    mix: Tensor  # (H, H)

    def __call__(self, hidden: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(H, B, T) and a state (H, B, N) to the same."""
        heard, state = scan(hidden, state, self.chunk)
        signal, gate = torch.addmm(self.bias, self.gates, heard.flatten(1)).chunk(2)  # (H, B * T) each
        active = torch.mm(self.mix, signal.tanh() * gate.sigmoid())
        return hidden + active.view_as(hidden), state


class S4dNet(EffectModel):
    """The network of an `S4dSpec`; its state is (B, layers, H, N), real and imaginary part.

    Weights of all layers lie in one tensor each: many small ones cost more than their arithmetic.
    """

    spec: S4dSpec

    def __init__(self, spec: S4dSpec) -> None:
        super().__init__(spec)
        layers, channels, states = spec.layers, spec.channels, spec.states
        decay = torch.linspace(math.log(SHORTEST_SAMPLES), math.log(spec.memory), channels)  # log samples
        rate = torch.arange(states).clamp(min=0.1) * math.pi  # S4D-Lin
        shape = (layers, channels, states)
        self.log_decay = nn.Parameter(-decay[:, None].expand(shape).clone())
        self.log_rate = nn.Parameter((rate.log() - decay[:, None]).expand(shape).clone())
        self.weight = nn.Parameter(torch.randn(*shape, 2) * states**-0.5)
        self.direct = nn.Parameter(torch.randn(layers, channels))
        self.gates = nn.Parameter(torch.randn(layers, 2 * channels, channels) * channels**-0.5)
        self.bias = nn.Parameter(torch.zeros(layers, 2 * channels, 1))
        self.mix = nn.Parameter(torch.randn(layers, channels, channels) * channels**-0.5)
        self.rechannel = nn.Parameter(torch.randn(channels))
        self.head = nn.Conv1d(channels, spec.output.channels, 1)
        self._kept: tuple[list[tuple[int, int]], list[Chunk]] | None = None

    @property
    def context_samples(self) -> int:
        return WARM_UP_SAMPLES

    def zero_state(self, batch: int) -> State:
        zeros = self.scale.new_zeros(batch, self.spec.layers, self.spec.channels, self.spec.states)
        return zeros, zeros

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        hidden = self.rechannel[:, None, None] * (dry / self.scale[0])[:, 0]  # (H, B, T)
        before, after = torch.complex(*state).permute(1, 2, 0, 3), []  # (layers, H, B, N)
        for layer, past in zip(self._layers(), before, strict=True):
            hidden, past = layer(hidden, past)
            after.append(past)
        return self.head(hidden.transpose(0, 1)), _split(after)

    @torch.no_grad()
    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        """Where silence since ever leads: a constant c sums up to c + c a + c a^2 + ... = c / (1 - a)."""
        hidden, states = self.scale.new_zeros(self.spec.channels, batch, 1), []
        for layer in self._layers():
            rest = hidden / (1 - layer.chunk.decay[:, None, :, 1])  # (H, B, N)
            hidden, rest = layer(hidden, rest)
            states.append(rest)
        return _split(states)

    def _layers(self) -> list[Layer]:
        return [Layer(*parts) for parts in zip(self._chunks(), self.gates, self.bias, self.mix, strict=True)]

    def _chunks(self) -> list[Chunk]:
        """Matrices of each layer; kept for players, as to build them costs more than to play a block."""
        if torch.is_grad_enabled():
            return self._built()
        weights = [self.log_decay, self.log_rate, self.weight, self.direct]
        now = [(weight.data_ptr(), weight._version) for weight in weights]  # both change with the values
        if self._kept is None or self._kept[0] != now:
            self._kept = now, self._built()
        return self._kept[1]

    def _built(self) -> list[Chunk]:
        log_pole = torch.complex(-self.log_decay.exp(), self.log_rate.exp())
        # the louder a channel rings on, the less goes in: all states have about the input's level
        weight = torch.view_as_complex(self.weight) * (1 - torch.exp(log_pole.real))
        every = chunk_of(log_pole, weight, self.direct)
        return [Chunk(*layer) for layer in zip(*(part.unbind() for part in every), strict=True)]


def _split(states: Sequence[Tensor]) -> State:
    """Real and imaginary parts (B, layers, H, N) of complex (H, B, N), one for each layer."""
    stacked = torch.stack([state.transpose(0, 1) for state in states], dim=1)
    return stacked.real, stacked.imag
