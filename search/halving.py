"""Asynchronous successive halving (Li et al., ASHA, 2020) on the best objective so far.

A trial that reaches a rung goes on if it is among the best third of those that have reached it. At
the first rung it is compared within its family, so that a family that learns late is not lost to
one that learns early; at the last, with all. Where the playing cost counts too, it is compared with
those that are no dearer to play.
"""

from collections import defaultdict
from typing import NamedTuple

KEPT_SHARE = 1 / 3
FREE_PASSES = 3  # the first to reach a rung have nothing to be compared with


class Place(NamedTuple):
    """Where a trial stands at a rung."""

    value: float  # its best objective by then
    cost: float  # of playing it; 0 where that does not count


class Halving:
    """Rungs at a ninth and a third of a trial's reports."""

    def __init__(self, reports: int) -> None:
        within, across = max(1, reports // 9), max(1, reports // 3)
        self._rungs = {within: "family"} if within == across else {within: "family", across: "all"}
        self._places: dict[tuple[int, str], dict[int, Place]] = defaultdict(dict)

    def note(self, number: int, family: str, index: int, value: float, cost: float = 0.0) -> None:
        """Remember the best objective that trial `number` had at its report `index`."""
        if index in self._rungs:
            self._places[self._group(family, index)][number] = Place(value, cost)

    def keeps(self, number: int, family: str, index: int) -> bool:
        """Whether the trial, noted before, goes on after its report `index`."""
        if index not in self._rungs:
            return True
        places = self._places[self._group(family, index)]
        own = places[number]
        values = [place.value for place in places.values() if place.cost <= own.cost]
        kept, better = max(1, int(len(values) * KEPT_SHARE)), sum(value < own.value for value in values)
        return len(values) <= FREE_PASSES or better < kept

    def _group(self, family: str, index: int) -> tuple[int, str]:
        return index, family if self._rungs[index] == "family" else ""
