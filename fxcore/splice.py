"""Recordings end to end in one dry and one wet signal, so that any stretch of any of them is one slice."""

from collections.abc import Sequence

import numpy as np

from fxcore.audio import Recording, Signal


class Spliced(list[Recording]):
    """Recordings that are views of two whole signals, `dry` and `wet` (1, T), one after another."""

    def __init__(
        self,
        names: Sequence[str],
        lengths: Sequence[int],
        dry: Signal,
        wet: Signal,
        start_samples: Sequence[int] | None = None,
    ) -> None:
        """`lengths`, in samples, add up to T; `start_samples` are the recordings' own, 0 by default."""
        self.dry, self.wet = dry, wet
        ends = np.cumsum(lengths)
        spans = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        super().__init__(
            Recording(name, dry[:, span], wet[:, span], start)
            for name, span, start in zip(names, spans, start_samples or [0] * len(spans), strict=True)
        )


def splice(recordings: Sequence[Recording]) -> Spliced:
    """Recordings laid end to end; a copy, but for those that are spliced already."""
    if isinstance(recordings, Spliced):
        return recordings
    dry, wet = (
        np.concatenate([recording[side] for recording in recordings], axis=1, dtype=np.float32)
        for side in (1, 2)
    )
    lengths, starts = [r.dry.shape[1] for r in recordings], [r.start_sample for r in recordings]
    return Spliced([r.name for r in recordings], lengths, dry, wet, starts)
