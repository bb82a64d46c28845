"""`lstm`: a recurrent net that hears one sample at a time (Wright, Damskägg & Välimäki, 2019)."""

from typing import Literal

from torch import Tensor, nn

from fxcore.models.base import EffectModel, State
from fxcore.models.recurrent import RecurrentNet, RecurrentSpec


class LstmSpec(RecurrentSpec):
    """`layers` LSTMs of `hidden` units, then a linear head, plus the dry where there is a `skip`."""

    kind: Literal["lstm"] = "lstm"

    def _build(self) -> EffectModel:
        return LstmNet(self)


class LstmNet(RecurrentNet):
    """The network of an `LstmSpec`; its cells' state is (h, c), (B, layers, hidden) each."""

    spec: LstmSpec

    def __init__(self, spec: LstmSpec) -> None:
        super().__init__(spec)
        self.lstm = nn.LSTM(1, spec.hidden, spec.layers, batch_first=True)
        self.head = nn.Linear(spec.hidden, spec.output.channels)

    def zero_cells(self, batch: int) -> State:
        zeros = self.scale.new_zeros(batch, self.spec.layers, self.spec.hidden)
        return zeros, zeros

    def play_cells(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = (s.transpose(0, 1).contiguous() for s in state)  # (layers, B, hidden)
        out, (hidden, cell) = self.lstm(dry, (hidden, cell))
        return out, (hidden.transpose(0, 1), cell.transpose(0, 1))
