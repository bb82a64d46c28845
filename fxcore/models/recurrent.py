"""What `lstm` and `gru` share: cells that hear one sample at a time, a linear head, and a tail."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.tail import Tail

WARM_UP_SAMPLES = 1024


class RecurrentSpec(ModelSpec):
    """`layers` recurrent layers of `hidden` units, then a linear head.

    With `skip`, the dry is added to the wet at its own level, as Proteus and AIDA-X play it: the net
    is left with what the effect changes. Behind it all lies an impulse response of `tail_taps`
    samples, such as a cabinet's; 0 for none.
    """

    layers: int = Field(1, ge=1, le=8)
    hidden: int = Field(32, ge=1, le=1024)
    skip: bool = False
    tail_taps: int = Field(0, ge=0, le=8192)

    training: ClassVar[TrainingSpec] = TrainingSpec(
        batch=32, block_samples=256, blocks=16, learning_rate=0.012
    )
    ranges: ClassVar[Mapping[str, Any]] = {"layers": [1, 2], "hidden": [8, 64], "tail_taps": [0, 512, 1024]}
    starts: ClassVar[Sequence[Mapping[str, Any]]] = ({}, {"tail_taps": 1024})  # a pedal; one with a cabinet

    @model_validator(mode="after")
    def _skip_adds_to_a_number(self) -> Self:
        if self.skip and self.output.kind != "regression":
            raise ValueError(f"skip needs the output regression; got {self.output.kind!r}; take skip out")
        return self

    @model_validator(mode="after")
    def _tail_filters_a_number(self) -> Self:
        if self.tail_taps and self.output.kind != "regression":
            raise ValueError(
                f"a tail needs the output regression; got {self.output.kind!r}; take tail_taps out"
            )
        return self


class RecurrentNet(EffectModel):
    """Warm-up, output and tail of a recurrent net; a family adds its cells, their state and its head.

    Its state is that of the cells, then the tail's past inputs where there is a tail.
    """

    spec: RecurrentSpec
    head: nn.Linear

    def __init__(self, spec: RecurrentSpec) -> None:
        super().__init__(spec)
        self.tail = Tail(spec.tail_taps) if spec.tail_taps else None

    @property
    def context_samples(self) -> int:
        return WARM_UP_SAMPLES + (self.tail.memory_samples if self.tail else 0)

    @abstractmethod
    def zero_cells(self, batch: int) -> State:
        """The state of the cells before anything was heard."""

    @abstractmethod
    def play_cells(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        """The last layer's outputs (B, N, hidden) for a dry (B, N, 1) in deviations, and the cells' state."""

    def zero_state(self, batch: int) -> State:
        cells = self.zero_cells(batch)
        return (*cells, self.scale.new_zeros(batch, 1, self.tail.memory_samples)) if self.tail else cells

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        if self.tail is None:
            return self._step_before_tail(dry, state)
        *cells, past = state
        raw, after = self._step_before_tail(dry, tuple(cells))
        raw, past = self.tail(raw, past)
        return raw, (*after, past)

    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        if self.tail:
            self.tail.begin(recordings, *self.scale.tolist())

    def refine(self, recordings: Sequence[Recording], rng: torch.Generator) -> None:
        if self.tail:

            def play(dry: Tensor) -> Tensor:
                return self._step_before_tail(dry, self.zero_cells(len(dry)))[0]

            self.tail.solve(recordings, play, WARM_UP_SAMPLES, float(self.scale[1]), rng)

    def _step_before_tail(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, state = self.play_cells(dry.transpose(1, 2) / self.scale[0], state)
        raw: Tensor = self.head(hidden).transpose(1, 2)
        return (raw + dry / self.scale[1] if self.spec.skip else raw), state
