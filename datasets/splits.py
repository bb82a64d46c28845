"""Splits of recordings: whole pairs where there are enough, else stretches of time with a guard between.

Never by window: windows overlap, and neighbours share notes and tails.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from datasets.manifest import Split
from datasets.repeats import Repeat

MIN_PAIRS = 3  # to split by recording
SHARE = 0.12  # of all seconds, for each split that is held out
BLOCKS = 3  # that a split held out by time is spread over
GUARD_S = 0.5  # longer than any window; dropped at every border, so that no split hears another's tail

Span = tuple[Split, int, int]  # split, first sample, and the one after the last


def by_recording(seconds: Sequence[float], held_out: Sequence[Split]) -> list[Split]:
    """The split of each of at least three recordings, spread evenly over their order.

    A recording goes to the split that is owed most, if that is half of it or more; a split that got nothing
    so takes the one that is nearest to its share.
    """
    splits: list[Split] = ["train"] * len(seconds)
    owed = dict.fromkeys(held_out, 0.0)
    for index, length in enumerate(seconds):
        for split in held_out:
            owed[split] += SHARE * length
        neediest = max(held_out, key=lambda split: owed[split])
        if owed[neediest] >= length / 2:
            splits[index] = neediest
            owed[neediest] -= length
    for split in held_out:
        if split not in splits:
            free = [index for index, given in enumerate(splits) if given == "train"]
            splits[min(free, key=lambda index: abs(seconds[index] - SHARE * sum(seconds)))] = split
    return splits


def by_time(samples: int, sample_rate: int, held_out: Sequence[Split]) -> list[Span]:
    """Cut a recording: blocks for the splits held out, in turn and evenly spread; the rest trains."""
    blocks = BLOCKS * len(held_out)
    guard = round(min(GUARD_S * sample_rate, samples / 60))  # below 30 s, half a second would eat the rest
    spans: list[Span] = []
    start = 0
    for block in range(blocks):
        length = round(SHARE / BLOCKS * samples)
        first = round((block + 0.5) * samples / blocks) - length // 2
        spans += [("train", start, first - guard), (held_out[block % len(held_out)], first, first + length)]
        start = first + length + guard
    return [*spans, ("train", start, samples)]


def share_known(spans: Sequence[Span], split: Split, repeats: Iterable[Repeat]) -> float:
    """Share of a split that plays what training plays, too: a model may know it by heart."""
    trained, held = (np.zeros(max(stop for *_, stop in spans), bool) for _ in range(2))
    for name, start, stop in spans:
        trained[start:stop] |= name == "train"
        held[start:stop] |= name == split
    known = np.zeros_like(trained)
    for start, again, samples in repeats:
        for here, there in ((start, again), (again, start)):
            heard = trained[there : there + samples]
            known[here : here + samples][: len(heard)] |= heard[: len(known[here : here + samples])]
    return float((known & held).sum() / max(held.sum(), 1))
