"""Play a model block by block on NumPy arrays, as a plug-in does."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fxcore.models import EffectModel, State

MOST_SAMPLES = 65_536  # at once; a longer block is played in pieces


class Player:
    """A model that goes on where the block before ended.

    player = load("amp.nam").player()
    wet = player(dry)
    """

    def __init__(self, model: EffectModel) -> None:
        self._model = model
        self._state: State | None = None
        self._channels: tuple[int, ...] = ()

    def __call__(self, dry: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Wet of a dry block: (T,) or (C, T), full scale ±1, at the model's rate; channels play apart."""
        block = np.asarray(dry, dtype=np.float32)
        if block.ndim not in (1, 2):
            raise ValueError(f"a block is (T,) or (C, T); got {block.shape}")
        if self._state is None:
            self._channels = block.shape[:-1]
            self._state = self._model.initial_state(max(1, *self._channels, 1))
        if block.shape[:-1] != self._channels:
            raise ValueError(
                f"channels cannot change from {self._channels} to {block.shape[:-1]} while playing; "
                "take another player, or reset this one"
            )
        if block.size == 0:
            return block.copy()
        pieces = []
        signal = torch.from_numpy(block.copy()).reshape(-1, 1, block.shape[-1])
        for piece in torch.split(signal, MOST_SAMPLES, dim=-1):
            wet, self._state = self._model.stream(piece, self._state)
            pieces.append(wet.numpy())
        return np.concatenate(pieces, axis=-1).reshape(block.shape)

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = None
