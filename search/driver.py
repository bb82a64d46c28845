"""What happens next in a search: hand out a trial, take a report, keep or stop.

An engine runs trials somewhere and asks the driver; the driver decides and writes to the record.
It lives in one process and knows no engine.
"""

import bisect
import time
from collections import deque
from collections.abc import Callable

from fxcore.errors import SearchError
from fxcore.training import Cost, Report
from search.attributes import attribute_of_all
from search.checkpoints import Checkpoints
from search.config import TrialConfig, TrialTask
from search.halving import Halving
from search.lease import Request
from search.progress import Progress
from search.record import Record
from search.study import WITHOUT_MODEL, State

STOPPED = "the search was stopped"


class Driver:
    """Decisions of one search from launch to end."""

    def __init__(
        self,
        record: Record,
        store: str,
        checkpoints: str,
        progress: Progress,
        asked: Callable[[], Request | None] = lambda: None,
    ) -> None:
        """`store` and `checkpoints` are where workers find them; `asked` tells what people want of it."""
        self.record, self.study, self.progress = record, record.study, progress
        self._store, self._checkpoints, self._asked = store, checkpoints, asked
        self._kept = Checkpoints(checkpoints)
        spec = self.study.spec
        self._deadline = time.monotonic() + 60 * spec.budget.minutes if spec.budget.minutes else None
        self._left_running = deque(record.unfinished())
        self._to_retry: deque[TrialTask] = deque()
        self._set_aside: set[int] = set()
        self._heard: dict[int, float] = {}  # of trials handed out, when they last gave a sign
        self._halving = Halving(spec.budget.trial.reports)
        self._families: dict[int, str] = {}
        self._playing: dict[int, float] = {}  # cost of playing, where it counts
        self._spent: dict[int, float] = {}  # compute seconds, by trial
        self._all_spent = 0.0
        self._best, self._best_trial = float("inf"), -1
        self._since_best = 0  # trials that ended without a new best
        self._models: list[tuple[float, int]] = []  # of trials that ended, the best first
        self._recall()

    @property
    def over(self) -> str | None:
        """Why the whole search ends now, if it does."""
        budget = self.study.spec.budget
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "the search's time was up"
        if budget.target is not None and self._best <= budget.target:
            return f"the target of {budget.target:g} was reached"
        if budget.gpu_hours is not None:
            hours = self._all_spent * self.study.spec.resources.gpus_per_trial / 3600
            if hours >= budget.gpu_hours:
                return f"its {budget.gpu_hours:g} GPU-hours were spent"
        return None

    @property
    def begins_nothing(self) -> bool:
        """Whether the search is over, or was asked to pause or stop."""
        return bool(self.over or self._asked())

    def next_task(self) -> TrialTask | None:
        """A trial to run: those left running first, then new ones; None when nothing is to be begun."""
        if self.begins_nothing:
            return None
        if self._to_retry:
            task = self._to_retry.popleft()
            self.heard(task.number)
            return task
        patience = self.study.spec.budget.patience
        if self._left_running:
            number, config = self._left_running.popleft()
        elif len(self._families) >= self.study.trials_wanted:
            return None
        elif patience is not None and self._since_best >= patience:
            self.progress.note(f"no better model in {patience} trials: no more are begun")
            return None
        else:
            try:
                number, config = self.record.ask()
            except SearchError as error:
                self.progress.note(str(error))
                return None
        self._families[number] = config.model.kind
        self.heard(number)
        self.progress.started(number, config)
        return self._task(number, config)

    def record_cost(self, number: int, cost: Cost) -> None:
        """What the trial's model costs to play, known before it trains."""
        self.record.record_cost(number, cost)
        if self.study.spec.sampler == "nsga2":
            self._playing[number] = 1.0 / max(cost.realtime_factor, 1e-6)

    def remark(self, number: int, text: str) -> None:
        """Keep what a person should know of a running trial."""
        self.record.remark(number, text)
        self.progress.note(f"trial {number}: {text}")

    def report(self, number: int, report: Report) -> bool:
        """Record a report; whether the trial goes on. One that was paused stays open in the record."""
        spec, rating = self.study.spec, report.rating(self.study.spec.objective)
        self.heard(number)
        if self.record.record(number, report):
            self._note(number, report.index, rating, report.compute_seconds)
        self.progress.reported(number, report)
        whole = report.index == spec.budget.trial.reports
        if report.diverged:
            return self._finish(number, "diverged", f"the loss exploded at step {report.step}")
        if report.collapsed and 3 * report.index >= spec.budget.trial.reports:  # a slow start is none
            return self._finish(number, "collapsed", f"its output was constant up to step {report.step}")
        if whole:
            return self._finish(number, "complete")
        family = self._families[number]
        if spec.stopping.halving and not self._halving.keeps(number, family, report.index):
            return self._finish(number, "pruned", f"not among the best third at report {report.index}")
        plateau = spec.stopping.plateau
        if plateau is not None and self.record.reports_since_best(number) >= plateau:
            return self._finish(number, "complete", f"no better for {plateau} reports")
        if over := self.over:
            return self._finish(number, "pruned", over)
        asked = self._asked()
        if asked == "stop":
            return self._finish(number, "pruned", STOPPED)
        return asked is None

    def heard(self, number: int) -> None:
        """A trial gave a sign of life."""
        self._heard[number] = time.monotonic()

    def is_overdue(self, number: int) -> bool:
        """Whether a trial has been silent for longer than any should be."""
        limit = 60 * self.study.spec.budget.silent_minutes
        return time.monotonic() - self._heard[number] > limit

    def retry(self, task: TrialTask) -> None:
        """Hand out a trial once more, before any other: its process died."""
        self._to_retry.append(task)
        self.progress.note(f"trial {task.number}: its process died; it is started again from its checkpoint")

    def set_aside(self, number: int, reason: str) -> None:
        """Leave a trial as it is, for a later launch to go on with: its checkpoint could not be written."""
        self.record.remark(number, reason)
        self._set_aside.add(number)
        self.progress.ended(number, "waiting", reason)

    def fail(self, number: int, reason: str, state: State = "failed") -> None:
        """Close a trial that could not be run; what it had reported stands."""
        self._finish(number, state, reason)

    def close(self) -> None:
        """End the search as it is: what was left running counts as far as it came."""
        reason = self.over or STOPPED
        for number, config in self.record.unfinished():
            if number not in self._set_aside:
                self._families[number] = config.model.kind
                self._finish(number, "pruned", reason)
        if self._set_aside:
            self.progress.note(f"trials that wait: {len(self._set_aside)}; the same launch goes on with them")
        else:
            self.record.set_complete(True)

    def _recall(self) -> None:
        """Know what an earlier process knew: rungs, the best, what was spent, whose models are kept."""
        reports = attribute_of_all(self.study.engine, self.study.name, "reports")
        waiting = {number for number, _ in self._left_running}
        for row in sorted(self.study.board(), key=lambda row: row.id):
            if row.realtime_factor and self.study.spec.sampler == "nsga2":
                self._playing[row.id] = 1.0 / max(row.realtime_factor, 1e-6)
            self._families[row.id] = row.family
            for values in reports.get(row.id, []):
                report = Report(**values)
                rating = report.rating(self.study.spec.objective)
                self._note(row.id, report.index, rating, report.compute_seconds)
            if row.id not in waiting:
                self._since_best += row.id != self._best_trial
                if row.metrics and row.state not in WITHOUT_MODEL:
                    bisect.insort(self._models, (row.metrics[self.study.spec.objective], row.id))

    def _note(self, number: int, index: int, rating: float, compute_seconds: float) -> None:
        self._all_spent += compute_seconds - self._spent.get(number, 0.0)
        self._spent[number] = compute_seconds
        playing = self._playing.get(number, 0.0)
        self._halving.note(number, self._families[number], index, rating, playing)
        if rating < self._best:
            self._best, self._best_trial, self._since_best = rating, number, 0

    def _finish(self, number: int, state: State, reason: str | None = None) -> bool:
        value = self.record.last_value(number)
        self.record.finish(number, state, reason)
        self._since_best += number != self._best_trial
        self._keep_model(number, None if state in WITHOUT_MODEL else value)
        self.progress.ended(number, state, reason)
        return False

    def _keep_model(self, number: int, value: float | None) -> None:
        """Keep the last checkpoint of the best trials, and nothing of others."""
        gone = number
        try:
            if value is not None:
                bisect.insort(self._models, (value, number))
                self._kept.settle(self.record.identity(number))
                if len(self._models) <= self.study.spec.keep_models:
                    return
                _, gone = self._models.pop()
            self._kept.remove(self.record.identity(gone))
        except OSError as error:  # it costs space, and nothing else
            self.progress.note(f"checkpoints of trial {gone} could not be removed: {error}")

    def _task(self, number: int, config: TrialConfig) -> TrialTask:
        return TrialTask(
            number=number,
            identity=self.record.identity(number),
            config=config,
            store=self._store,
            checkpoints=self._checkpoints,
            cpus=self.study.spec.resources.cpus_per_trial,
            gpus=self.study.spec.resources.gpus_per_trial,
        )
