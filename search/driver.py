"""What happens next in a search: hand out a trial, take a report, keep or stop.

An engine runs trials somewhere and asks the driver; the driver decides and writes to the study.
It lives in one process and knows no engine.
"""

import time
from collections import deque
from pathlib import Path

from fxcore.errors import SearchError
from fxcore.training import Cost, Report
from search.config import TrialConfig, TrialTask
from search.control import asked
from search.halving import Halving
from search.progress import Progress
from search.study import State, Study

STOPPED = "the search was stopped"
OUT_OF_TIME = "the search's time was up"


class Driver:
    """Decisions of one search from launch to end."""

    def __init__(self, study: Study, store: str, folder: Path, progress: Progress) -> None:
        """`store` is where workers open the sample store, `folder` the search's own."""
        self.study, self.store, self.folder, self.progress = study, store, folder, progress
        spec = study.spec
        self._deadline = time.monotonic() + 60 * spec.budget.minutes if spec.budget.minutes else None
        self._left_running = deque(study.unfinished())
        self._started = len(study.board())
        self._families: dict[int, str] = {}
        self._halving = Halving(spec.budget.trial.reports)
        for row in study.board():
            for report in study.reports(row.id):
                self._halving.note(row.family, report.index, report.rating(spec.objective))

    @property
    def out_of_time(self) -> bool:
        """Whether the search's wall time is spent."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def next_task(self) -> TrialTask | None:
        """A trial to run: those left running first, then new ones; None when nothing is to be begun."""
        if self.out_of_time or asked(self.folder):
            return None
        if self._left_running:
            number, config = self._left_running.popleft()
        elif self._started < self.study.trials_wanted:
            try:
                number, config = self.study.ask()
            except SearchError as error:
                self.progress.note(str(error))
                self._started = self.study.trials_wanted
                return None
            self._started += 1
        else:
            return None
        self._families[number] = config.model.kind
        self.progress.started(number, config)
        return self._task(number, config)

    def record_cost(self, number: int, cost: Cost) -> None:
        """What the trial's model costs to play, known before it trains."""
        self.study.record_cost(number, cost)

    def report(self, number: int, report: Report) -> bool:
        """Record a report; whether the trial goes on. One that was paused stays open in the study."""
        family, best = self._families[number], report.rating(self.study.spec.objective)
        if self.study.record(number, report):
            self._halving.note(family, report.index, best)
        self.progress.reported(number, report)
        if report.diverged:
            return self._finish(number, "diverged", f"the loss was no number at step {report.step}")
        ended: tuple[State, str | None]
        if report.index == self.study.spec.budget.trial.reports:
            ended = "complete", None
        elif not self._halving.keeps(family, report.index, best):
            ended = "pruned", f"not among the best third at report {report.index}"
        elif (request := asked(self.folder)) == "pause":
            return False
        elif request == "stop":
            ended = "pruned", STOPPED
        elif self.out_of_time:
            ended = "pruned", OUT_OF_TIME
        else:
            return True
        if report.collapsed:
            ended = "collapsed", f"its output was constant at all {report.index} reports"
        return self._finish(number, *ended)

    def retried(self, number: int) -> None:
        """A trial whose process died is started again."""
        self.progress.note(f"trial {number}: its process died; it is started again from its checkpoint")

    def fail(self, number: int, reason: str) -> None:
        """Close a trial that could not be run."""
        self._finish(number, "failed", reason)

    def close(self) -> None:
        """End the search as it is: what was left running counts as far as it came."""
        reason = OUT_OF_TIME if self.out_of_time else STOPPED
        for number, _ in self.study.unfinished():
            self._finish(number, "pruned", reason)
        self.study.complete = True

    def _finish(self, number: int, state: State, reason: str | None = None) -> bool:
        self.study.finish(number, state, reason)
        self.progress.ended(number, state, reason)
        return False

    def _task(self, number: int, config: TrialConfig) -> TrialTask:
        identity = self.study.identity(number)
        return TrialTask(
            number=number,
            identity=identity,
            config=config,
            store=self.store,
            checkpoint=self.folder / "checkpoints" / f"{identity}.safetensors",
            cpus=self.study.spec.resources.cpus_per_trial,
            gpus=self.study.spec.resources.gpus_per_trial,
        )
