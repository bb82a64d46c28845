"""The Ray engine: Tune executes, the driver decides, the study remembers.

Tune's own search algorithms, schedulers, checkpoints, retries and restore are not used; its state is scrap.
A trial whose actor or node dies goes back to the driver, and as a new trial of Tune's it resumes from its own
checkpoint; a search whose driving process dies is resumed by a new Tuner over the same study.
"""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher, SearchGenerator
from ray.util import placement_group, remove_placement_group

from fxcore.errors import SearchError
from search.config import Resources, TrialTask
from search.driver import Driver
from search.engine.ray_session import connected
from search.engine.ray_trial import TrialActor

MAX_RETRIES = 3  # of a trial whose actor or node died, before it counts as failed
SLOTS_FOR_A_PENDING = 8  # a trial is drawn ahead for so many: it knows less, but processes take seconds
AHEAD = "FXSEARCH_AHEAD"  # how many are at least: a cluster that grows takes them for its size
LOOK_SECONDS = 1.0  # between looks for trials that hang
OUT_OF_MEMORY = "OutOfMemory", "out of memory", "low on memory"  # why Ray ends a process

SETTINGS = {  # read when Tune runs
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # an interrupt is ours to handle
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # of a state that nobody reads
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # how many are drawn is the searcher's to say
    "TUNE_RESULT_BUFFER_LENGTH": "1",  # every report is decided on before the next is made
}


def run(driver: Driver, address: str | None = None) -> None:
    """Run the driver's trials on a local Ray started for this, or on the cluster at `address`."""
    resources = driver.study.spec.resources
    with connected(address, SETTINGS), tempfile.TemporaryDirectory(prefix="fxsearch-tune-") as scrap:
        if address is not None and not _has_room(driver, resources):
            return
        slots = Slots(resources)
        driver.progress.slots(slots.count())
        trial_resources = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
        numbers: dict[str, int] = {}  # Tune's ids of trials that have not ended -> the study's numbers
        scheduler = DriverScheduler(driver, numbers, slots)
        tuner = tune.Tuner(
            tune.with_resources(TrialActor, trial_resources),
            tune_config=tune.TuneConfig(
                search_alg=Trials(DriverSearcher(driver, numbers, slots)),
                scheduler=scheduler,
                num_samples=-1,  # until the searcher says that it has finished
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=scrap,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),  # retries are the driver's
                callbacks=[Guard(driver, numbers)],
            ),
        )
        try:
            tuner.fit()
        except TuneError as error:
            raise scheduler.error or error from None


class Slots:
    """How many trials run at once, looked at now and then: clusters grow and shrink."""

    def __init__(self, resources: Resources) -> None:
        """Raises `SearchError` where no trial could ever start, instead of waiting for ever."""
        self._wanted, self._count, self._next_look = _wanted(resources), 0, 0.0
        there = ray.cluster_resources()
        for kind, wanted in self._wanted.items():
            if wanted > there.get(kind, 0):
                raise SearchError(
                    f"a trial wants {wanted:g} {kind}s, the cluster has {there.get(kind, 0):g}; "
                    f"set resources.{kind.lower()}s_per_trial lower"
                )

    def count(self) -> int:
        """As the cluster is."""
        if time.monotonic() >= self._next_look:
            there = ray.cluster_resources()
            self._count = min(int(there.get(kind, 0) / wanted) for kind, wanted in self._wanted.items())
            self._next_look = time.monotonic() + LOOK_SECONDS
        return self._count

    def ahead(self) -> int:
        """How many trials are drawn before there is room for them."""
        return max(int(os.environ.get(AHEAD, "1")), self.count() // SLOTS_FOR_A_PENDING)


class NotSaved:
    """Tune pickles its parts to restore them; ours are never restored, and stay as they are."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class DriverSearcher(NotSaved, Searcher):  # type: ignore[misc]  # Ray is untyped
    """Tune's questions for the next trial, passed on to the driver."""

    def __init__(self, driver: Driver, numbers: dict[str, int], slots: Slots) -> None:
        super().__init__()
        self._driver, self._numbers, self._slots = driver, numbers, slots
        self._has_ended = False  # whether a trial has, since the last question
        self.has_finished = False

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A trial for each slot, so that all start together, and some ahead; None: not now.

        Where one has ended, its process first gets one that was drawn ahead: a draw takes a while.
        """
        ahead = 0 if self._has_ended else self._slots.ahead()
        self._has_ended = False
        if len(self._numbers) >= self._slots.count() + ahead:
            return None
        task = self._driver.next_task()
        if task is None:
            self.has_finished = True
            return None
        self._numbers[trial_id] = task.number
        return {"task": task.as_dict()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._has_ended = True
        del self._numbers[trial_id]
        if error:
            self.has_finished = False  # the driver may have it to run again

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the record."""


class Trials(NotSaved, SearchGenerator):  # type: ignore[misc]  # Ray is untyped
    """What the searcher suggests, as trials of Tune's; one whose process dies is suggested after the last."""

    def is_finished(self) -> bool:
        return bool(self.searcher.has_finished)


class DriverScheduler(NotSaved, FIFOScheduler):  # type: ignore[misc]  # Ray is untyped
    """Tune's results, passed on to the driver, which keeps or stops."""

    def __init__(self, driver: Driver, numbers: dict[str, int], slots: Slots) -> None:
        super().__init__()
        self._driver, self._numbers, self._slots = driver, numbers, slots
        self._waiting: dict[Any, None] = {}  # Tune's trials that wait for a process, in this order
        self._remarks: dict[int, str | None] = {}
        self._deaths: Counter[int] = Counter()
        self.error: Exception | None = None  # what the driver raised; Tune makes a `TuneError` of it

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._waiting[trial] = None

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Whose turn it is where a process has become free: the first for which none is starting.

        By Tune's own choice, the first that waits, the process that starts for that would be ended: a slot
        would never start beside others whose trials are short.
        """
        self._waiting = {trial: None for trial in self._waiting if trial.status == "PENDING"}
        running = len(self._numbers) - len(self._waiting)
        starting = max(0, self._slots.count() - running - 1)  # but for the one that is free
        return next(islice(self._waiting, starting, None), None) or next(reversed(self._waiting), None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        with self._errors_kept():
            goes_on = self._tell(self._numbers[trial.trial_id], result)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Its process died, at work or before."""
        with self._errors_kept():
            task = TrialTask.from_dict(trial.config["task"])
            if self._driver.is_overdue(task.number):
                limit = self._driver.study.spec.budget.silent_minutes
                self._driver.fail(task.number, f"it was silent for {limit:g} min")  # it would hang again
            elif self._deaths[task.number] == MAX_RETRIES:
                self._driver.fail(task.number, "its process failed too often")
            else:
                self._deaths[task.number] += 1
                halvings = task.halvings + _ran_out_of_memory(trial)
                self._driver.retry(TrialTask.from_dict({**task.as_dict(), "halvings": halvings}))

    @contextmanager
    def _errors_kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error = error
            raise

    def _tell(self, number: int, result: dict[str, Any]) -> bool:
        if "not_kept" in result:
            self._driver.set_aside(number, result["not_kept"])
        elif "too_large" in result:
            self._driver.fail(number, result["too_large"], "infeasible")
        elif "failure" in result:
            self._driver.fail(number, result["failure"])
        else:
            self._driver.record_cost(number, result["cost"])
            if (remark := result["remark"]) != self._remarks.get(number):
                self._remarks[number] = remark
                self._driver.remark(number, remark)
            return self._driver.report(number, result["report"])
        return False


class Guard(NotSaved, tune.Callback):  # type: ignore[misc]  # Ray is untyped
    """Ends the processes of trials that hang."""

    def __init__(self, driver: Driver, numbers: dict[str, int]) -> None:
        self._driver, self._numbers = driver, numbers
        self._next_look = 0.0

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._driver.heard(self._numbers[trial.trial_id])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        for trial in trials:
            actor = trial.temporary_state.ray_actor
            if actor and trial.status == "RUNNING" and self._driver.is_overdue(self._numbers[trial.trial_id]):
                ray.kill(actor)


def _has_room(driver: Driver, resources: Resources) -> bool:
    """Wait until a cluster has room for a trial: where it may grow, it does so for what waits.

    False where the search was asked to pause or stop meanwhile.
    """
    group = placement_group([_wanted(resources)])
    told = False
    try:
        while not group.wait(LOOK_SECONDS):
            if driver.begins_nothing:
                return False
            if not told:
                driver.progress.note("no machine of the cluster has room for a trial; waiting for one")
                told = True
    finally:
        remove_placement_group(group)
    return True


def _wanted(resources: Resources) -> dict[str, float]:
    """What a trial occupies, in Ray's terms."""
    wanted = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    return {kind: amount for kind, amount in wanted.items() if amount}


def _ran_out_of_memory(trial: Any) -> bool:
    """Whether Ray ended the trial's process for want of memory: it would do so again."""
    error = trial.get_pickled_error()
    return isinstance(error, RayError) and any(sign in str(error) for sign in OUT_OF_MEMORY)
