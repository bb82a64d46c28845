"""Asynchronous successive halving (Li et al., ASHA, 2020) on the best objective so far.

A trial that reaches a rung goes on if it is among the best third of those that have reached it. At
the first rung it is compared within its family, so that a family that learns late is not lost to
one that learns early; at the last, with all.
"""

from collections import defaultdict

KEPT_SHARE = 1 / 3
FREE_PASSES = 3  # the first to reach a rung have nothing to be compared with


class Halving:
    """Rungs at a ninth and a third of a trial's reports."""

    def __init__(self, reports: int) -> None:
        within, across = max(1, reports // 9), max(1, reports // 3)
        self._rungs = {within: "family"} if within == across else {within: "family", across: "all"}
        self._values: dict[tuple[int, str], list[float]] = defaultdict(list)

    def note(self, family: str, index: int, value: float) -> None:
        """Remember the best objective a trial had at its report `index`."""
        if index in self._rungs:
            self._values[self._group(family, index)].append(value)

    def keeps(self, family: str, index: int, value: float) -> bool:
        """Whether the trial, noted before, goes on after its report `index`."""
        if index not in self._rungs:
            return True
        values = self._values[self._group(family, index)]
        kept = max(1, int(len(values) * KEPT_SHARE))
        return len(values) <= FREE_PASSES or value <= sorted(values)[kept - 1]

    def _group(self, family: str, index: int) -> tuple[int, str]:
        return index, family if self._rungs[index] == "family" else ""
