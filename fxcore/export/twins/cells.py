"""Recurrent layers as one operation: tracing would unroll them over the samples of one block."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

LIBRARY = "fxsearch"
LIBRARIES: list[torch.library.Library] = []  # what one defines lasts as long as itself


class WholeCells(nn.Module):
    """An LSTM or GRU as one operation."""

    def __init__(self, cells: nn.RNNBase) -> None:
        super().__init__()
        stand_ins()
        self.gated = isinstance(cells, nn.GRU)
        self.layers = cells.num_layers
        self.held = nn.ParameterList(cells._flat_weights)

    def forward(self, signal: Tensor, state: Any) -> Any:
        """(B, N, I) to (B, N, hidden), and the state after it, as the layer does."""
        settings = (list(self.held), True, self.layers, 0.0, False, False, True)
        if self.gated:
            return torch.ops.fxsearch.gru(signal, state, *settings)
        out, hidden, cell = torch.ops.fxsearch.lstm(signal, list(state), *settings)
        return out, (hidden, cell)


@functools.cache
def stand_ins() -> dict[Any, Any]:
    """Operations that are traced as one, and torch's own, which take their place afterwards."""
    library: Any = torch.library.Library(LIBRARY, "DEF")  # type: ignore[no-untyped-call]  # torch's is untyped
    tail = "Tensor[] params, bool biases, int layers, float dropout, bool train, bool both, bool batch_first"
    library.define(f"lstm(Tensor signal, Tensor[] hx, {tail}) -> (Tensor, Tensor, Tensor)")
    library.define(f"gru(Tensor signal, Tensor hx, {tail}) -> (Tensor, Tensor)")

    def lstm(signal: Tensor, state: list[Tensor], *_: Any) -> tuple[Tensor, Tensor, Tensor]:
        hidden, cell = state
        return out_of(signal, hidden), torch.empty_like(hidden), torch.empty_like(cell)

    def gru(signal: Tensor, state: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return out_of(signal, state), torch.empty_like(state)

    def out_of(signal: Tensor, state: Tensor) -> Tensor:
        return signal.new_empty(signal.shape[0], signal.shape[1], state.shape[-1])

    torch.library.register_fake(f"{LIBRARY}::lstm", lstm, lib=library)
    torch.library.register_fake(f"{LIBRARY}::gru", gru, lib=library)
    originals = {"lstm": torch.ops.aten.lstm.input, "gru": torch.ops.aten.gru.input}
    for name, original in originals.items():
        library.impl(name, original, "CompositeExplicitAutograd")
    LIBRARIES.append(library)
    return {getattr(torch.ops.fxsearch, name).default: original for name, original in originals.items()}
