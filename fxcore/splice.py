"""Recordings end to end in one dry and one wet signal, so that any stretch of any of them is one slice."""

from collections.abc import Sequence

import numpy as np

from fxcore.audio import Recording, Signal


class Spliced(list[Recording]):
    """Recordings that are views of two whole signals, `dry` and `wet` (1, T), one after another."""

    def __init__(self, names: Sequence[str], lengths: Sequence[int], dry: Signal, wet: Signal) -> None:
        """`lengths`, in samples, add up to T."""
        self.dry, self.wet = dry, wet
        ends = np.cumsum(lengths)
        spans = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        super().__init__(
            Recording(name, dry[:, span], wet[:, span]) for name, span in zip(names, spans, strict=True)
        )


def splice(recordings: Sequence[Recording]) -> Spliced:
    """Recordings laid end to end; a copy, but for those that are spliced already."""
    if isinstance(recordings, Spliced):
        return recordings
    dry, wet = (
        np.concatenate([recording[side] for recording in recordings], axis=1, dtype=np.float32)
        for side in (1, 2)
    )
    return Spliced([r.name for r in recordings], [r.dry.shape[1] for r in recordings], dry, wet)
