"""`gru`: a recurrent net with three gates instead of the LSTM's four, and no cell (Cho et al., 2014).

The reset gate acts on the recurrent product after its bias, as RTNeural and cuDNN compute it.
"""

from typing import Literal

from torch import Tensor, nn

from fxcore.models.base import EffectModel, State
from fxcore.models.recurrent import RecurrentNet, RecurrentSpec


class GruSpec(RecurrentSpec):
    """`layers` GRUs of `hidden` units, then a linear head, plus the dry where there is a `skip`."""

    kind: Literal["gru"] = "gru"

    def _build(self) -> EffectModel:
        return GruNet(self)


class GruNet(RecurrentNet):
    """The network of a `GruSpec`; its cells' state is h, (B, layers, hidden)."""

    spec: GruSpec

    def __init__(self, spec: GruSpec) -> None:
        super().__init__(spec)
        self.gru = nn.GRU(1, spec.hidden, spec.layers, batch_first=True)
        self.head = nn.Linear(spec.hidden, spec.output.channels)

    def zero_cells(self, batch: int) -> State:
        return (self.scale.new_zeros(batch, self.spec.layers, self.spec.hidden),)

    def play_cells(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        out, hidden = self.gru(dry, state[0].transpose(0, 1).contiguous())
        return out, (hidden.transpose(0, 1),)
