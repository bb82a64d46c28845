"""Splits: by recording, in fair shares; by time, with a guard; and what both splits would play."""

import itertools

import numpy as np
import pytest

from datasets.repeats import Repeat
from datasets.splits import SHARE, by_recording, by_time, share_known

HELD_OUT = ("validation", "test")


def test_three_recordings_make_three_splits_and_the_longest_trains() -> None:
    assert by_recording([100.0, 9.0, 10.0], HELD_OUT) == ["train", "validation", "test"]
    assert by_recording([9.0, 10.0, 100.0], HELD_OUT).index("train") == 2
    assert sorted(by_recording([10.0, 10.0, 10.0], HELD_OUT)) == ["test", "train", "validation"]


def test_a_test_split_from_elsewhere_leaves_two_splits() -> None:
    assert by_recording([30.0, 30.0, 30.0], ("validation",)).count("validation") == 1


@pytest.mark.parametrize("seed", range(5))
def test_many_recordings_are_shared_out_by_seconds(seed: int) -> None:
    seconds = np.random.default_rng(seed).uniform(2, 30, 100)
    splits = np.array(by_recording(seconds.tolist(), HELD_OUT))
    for split in HELD_OUT:
        assert seconds[splits == split].sum() / seconds.sum() == pytest.approx(SHARE, abs=0.02)
        assert np.ptp(np.flatnonzero(splits == split)) > 70  # all over the order, not one part of it
    assert splits[0] == "train"


@pytest.mark.parametrize("count", [3, 4, 5, 8, 20])
@pytest.mark.parametrize("seed", range(4))
def test_no_split_is_empty_and_training_has_most(count: int, seed: int) -> None:
    seconds = np.random.default_rng(seed).lognormal(3, 1, count)
    splits = np.array(by_recording(seconds.tolist(), HELD_OUT))
    totals = {split: seconds[splits == split].sum() for split in ("train", *HELD_OUT)}
    assert all(totals.values())
    assert by_recording(seconds.tolist(), HELD_OUT) == splits.tolist()
    if count >= 8:
        assert totals["train"] > 0.5 * seconds.sum()


@pytest.mark.parametrize("held_out", [("validation",), HELD_OUT])
def test_blocks_of_time_cover_all_but_the_guards(held_out: tuple[str, ...]) -> None:
    spans = by_time(100_000, 1000, held_out)
    assert spans[0][1] == 0
    assert spans[-1][2] == 100_000
    assert [b[1] - a[2] for a, b in itertools.pairwise(spans)] == [500] * (len(spans) - 1)
    for split in held_out:
        assert sum(stop - start for name, start, stop in spans if name == split) == 12_000


def test_the_share_known_is_that_of_the_split_that_training_plays() -> None:
    spans = [("train", 0, 100), ("test", 120, 160), ("train", 180, 300)]
    assert share_known(spans, "test", []) == 0.0
    assert share_known(spans, "test", [Repeat(0, 120, 10)]) == 0.25
    assert share_known(spans, "test", [Repeat(130, 200, 30)]) == 0.75
    assert share_known(spans, "test", [Repeat(130, 200, 30), Repeat(0, 120, 20)]) == 1.0
    assert share_known(spans, "test", [Repeat(0, 180, 50), Repeat(100, 140, 20)]) == 0.0
    assert share_known(spans, "test", [Repeat(120, 290, 100)]) == 0.25  # past the end
    assert share_known(spans, "validation", [Repeat(0, 120, 10)]) == 0.0  # there is none
