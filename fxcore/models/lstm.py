"""`lstm`: a recurrent net that hears one sample at a time (Wright, Damskägg & Välimäki, 2019)."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec

WARM_UP_SAMPLES = 1024


class LstmSpec(ModelSpec):
    """`layers` LSTMs of `hidden` units, then a linear head."""

    kind: Literal["lstm"] = "lstm"
    layers: int = Field(1, ge=1, le=8)
    hidden: int = Field(32, ge=1, le=1024)

    training: ClassVar[TrainingSpec] = TrainingSpec(
        batch=32, block_samples=256, blocks=16, learning_rate=0.012
    )

    def _build(self) -> EffectModel:
        return LstmNet(self)


class LstmNet(EffectModel):
    """The network of an `LstmSpec`; its state is (h, c), (B, layers, hidden) each."""

    spec: LstmSpec

    def __init__(self, spec: LstmSpec) -> None:
        super().__init__(spec)
        self.lstm = nn.LSTM(1, spec.hidden, spec.layers, batch_first=True)
        self.head = nn.Linear(spec.hidden, spec.output.channels)

    @property
    def context_samples(self) -> int:
        return WARM_UP_SAMPLES

    def zero_state(self, batch: int) -> State:
        zeros = self.scale.new_zeros(batch, self.spec.layers, self.spec.hidden)
        return zeros, zeros

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = (s.transpose(0, 1).contiguous() for s in state)  # (layers, B, hidden)
        out, (hidden, cell) = self.lstm(dry.transpose(1, 2) / self.scale[0], (hidden, cell))
        return self.head(out).transpose(1, 2), (hidden.transpose(0, 1), cell.transpose(0, 1))
