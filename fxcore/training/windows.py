"""Windows of dry and wet, drawn from one tensor on the device; a batch costs one gather.

All recordings of a split lie end to end in one tensor; a window never crosses from one to the next. Those of
a store's cache lie so already: on the CPU, windows then are views of the cache, read where they are drawn.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fxcore.audio import Recording
from fxcore.errors import StoreError
from fxcore.splice import splice


class Windows:
    """Draws (context + length)-sample windows of dry, and the wet of their last `length` samples."""

    def __init__(
        self, recordings: Sequence[Recording], context: int, length: int, device: torch.device | str = "cpu"
    ) -> None:
        """Raises `StoreError` where no recording is as long as one window."""
        size = context + length
        lengths = torch.tensor([r.dry.shape[-1] for r in recordings])
        starts = lengths.cumsum(0) - lengths
        usable = (lengths - size + 1).clamp(min=0)  # start positions a recording offers
        if not usable.any():
            longest = int(lengths.max()) if len(lengths) else 0
            raise StoreError(
                f"a window of {size} samples is longer than every training recording (the longest has "
                f"{longest}); give longer recordings, or search smaller windows"
            )
        whole = splice(recordings)
        dry, wet = (torch.from_numpy(side[0]).to(device) for side in (whole.dry, whole.wet))
        self.context = context
        self.dry = dry.unfold(0, size, 1)  # (starts, size), a view
        self.wet = wet.unfold(0, size, 1)[:, context:]
        self._ends = usable.cumsum(0)  # positions 0 .. ends[-1] - 1 over all recordings
        self._offsets = starts - (self._ends - usable)

    def draw(self, batch: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Dry (B, 1, context + length) and wet (B, 1, length), uniform over all positions."""
        position = torch.randint(int(self._ends[-1]), (batch,), generator=rng)
        start = position + self._offsets[torch.searchsorted(self._ends, position, right=True)]
        start = start.to(self.dry.device)
        return self.dry[start][:, None], self.wet[start][:, None]
