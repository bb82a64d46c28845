"""What Tune is told: which trial is next, for which process, and what becomes of one whose process died."""

from types import SimpleNamespace
from typing import Any

import pytest

from search.config import TrialTask


class SomeSlots:
    """So many, and one trial drawn ahead."""

    def __init__(self, number: int) -> None:
        self.number = number

    def count(self) -> int:
        return self.number

    def ahead(self) -> int:
        return 1


class Drawing:
    """A driver that has trials without end."""

    def __init__(self) -> None:
        self.drawn = 0

    def next_task(self) -> Any:
        self.drawn += 1
        return SimpleNamespace(number=self.drawn, as_dict=dict)


class TuneTrial:
    """What Tune's scheduler is shown."""

    status = "PENDING"


def test_trials_are_drawn_for_all_slots_at_once_and_one_ahead():
    from search.engine.ray_tune import DriverSearcher

    numbers: dict[str, int] = {}
    searcher = DriverSearcher(Drawing(), numbers, SomeSlots(2))
    assert [searcher.suggest(name) is not None for name in "abcd"] == [True, True, True, False]
    assert numbers == {"a": 1, "b": 2, "c": 3}


def test_a_process_that_has_become_free_waits_for_no_draw():
    from search.engine.ray_tune import DriverSearcher

    driver = Drawing()
    searcher = DriverSearcher(driver, {}, SomeSlots(2))
    for name in "abc":
        searcher.suggest(name)
    searcher.on_trial_complete("a")
    assert searcher.suggest("d") is None  # Tune starts c meanwhile
    assert searcher.suggest("d") is not None
    assert driver.drawn == 4
    for name in "bc":
        searcher.on_trial_complete(name)
    assert searcher.suggest("e") is not None  # nothing was drawn ahead


def test_a_process_that_has_become_free_gets_a_trial_for_which_none_is_starting():
    from search.engine.ray_tune import DriverScheduler

    trials = {name: TuneTrial() for name in "abc"}
    numbers = dict.fromkeys(trials, 0)
    scheduler = DriverScheduler(None, numbers, SomeSlots(2))
    for trial in trials.values():
        scheduler.on_trial_add(None, trial)
    trials["a"].status = "TERMINATED"
    del numbers["a"]
    assert scheduler.choose_trial_to_run(None) is trials["c"]  # b's is starting
    trials["b"].status = "RUNNING"
    assert scheduler.choose_trial_to_run(None) is trials["c"]
    trials["c"].status = "RUNNING"
    assert scheduler.choose_trial_to_run(None) is None


class Retrying:
    """A driver that keeps what it is told of a trial whose process died."""

    def __init__(self) -> None:
        self.retried: list[TrialTask] = []
        self.failed: list[str] = []

    def is_overdue(self, number: int) -> bool:
        return False

    def retry(self, task: TrialTask) -> None:
        self.retried.append(task)

    def fail(self, number: int, reason: str) -> None:
        self.failed.append(reason)


@pytest.mark.parametrize(
    ("death", "said", "halvings"),
    [
        ("OutOfMemoryError", ["Task was killed due to the node running low on memory."], [1, 2, 3]),
        ("RayActorError", [], [0, 0, 0]),
    ],
)
def test_a_trial_whose_process_died_goes_back_with_half_the_batch_where_memory_was_short(
    tiny_search, death, said, halvings
):
    from ray import exceptions

    from search.engine.ray_tune import MAX_RETRIES, DriverScheduler

    error, driver = getattr(exceptions, death)(*said), Retrying()
    scheduler = DriverScheduler(driver, {}, SomeSlots(1))
    task = TrialTask(
        number=0,
        identity="0",
        config=tiny_search.study.config(0),
        store="stores/a",
        checkpoints="checkpoints",
        cpus=1,
        gpus=0,
    )
    for _ in range(MAX_RETRIES + 1):
        dead = SimpleNamespace(config={"task": task.as_dict()}, get_pickled_error=lambda: error)
        scheduler.on_trial_error(None, dead)
        task = driver.retried[-1]
    assert [each.halvings for each in driver.retried] == halvings
    assert driver.failed == ["its process failed too often"]
