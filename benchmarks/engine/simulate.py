"""A search of thousands of trials on hundreds of slots, without training: what deciding and recording cost.

Driver, record, sampler and halving are the real ones. In place of training, each trial has a curve that
falls as a power of its reports towards a floor set by its configuration, with noise, as recorded curves do.
Time is simulated: whichever trial's next report is due first is told first.
"""

import math
import random
import resource
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from fxcore.metrics import METRICS
from fxcore.training import Cost, Report
from search import SearchSpec
from search.config import TrialTask
from search.driver import Driver
from search.lease import held
from search.progress import Lines
from search.record import Record
from search.storage import Storage
from search.study import Study

SPEC = {
    "name": "simulated",
    "data": "stores/none",
    "training": {"learning_rate": [0.001, 0.03]},
    "structured": False,
}
FLOORS = {"lstm": 0.4, "wavenet": 0.45, "nam_wavenet": 0.5, "gru": 0.5, "s4d": 0.55, "conv": 0.6}
FIRST = 3.0  # an untrained model's objective
BEST_LOG_RATE = math.log(0.01)
MB = 2**20


class Line(NamedTuple):
    """Where the simulation stands after another part of its trials."""

    trials: int
    decisions: int  # since the line before, as the next two
    seconds: float
    cpu_seconds: float
    rss_mb: float
    database_mb: float | None


def add_arguments(parser: ArgumentParser) -> None:
    """Those of `run`."""
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=1_000)
    parser.add_argument("--sampler", choices=("tpe", "random", "nsga2"), default="tpe")
    parser.add_argument("--root", type=Path, help="where to keep it (default: a temporary folder)")


def run(asked: Namespace) -> None:
    """Simulate, and print a line for each tenth of the trials; then resume the search, which reads it all."""
    budget = {"trials": asked.trials, "trial_seconds": 60}
    spec = SearchSpec.from_dict({**SPEC, "sampler": asked.sampler, "budget": budget})
    with TemporaryDirectory() as scrap:
        storage = Storage(asked.root or scrap)
        storage.search(spec.name).mkdir(parents=True, exist_ok=True)
        study = Study.create(storage.database(spec.name), spec, "none", 44_100)
        print("| trials ended | decisions a second | a CPU second | memory MB | record MB |")
        print("|---|---|---|---|---|")
        for line in simulate(study, storage, asked.slots, asked.trials // 10):
            rates = line.decisions / line.seconds, line.decisions / line.cpu_seconds
            size = "" if line.database_mb is None else f"{line.database_mb:.0f}"
            print(
                f"| {line.trials:,} | {rates[0]:.0f} | {rates[1]:.0f} | {line.rss_mb:.0f} | {size} |",
                flush=True,
            )
        start = time.process_time()
        driver_of(Record(Study.open(storage.database(spec.name), spec.name)), storage)
        print(
            f"\nresumed in {time.process_time() - start:.1f} CPU s; "
            f"states {dict(Counter(row.state for row in study.board()))}"
        )


def driver_of(record: Record, storage: Storage, **told: Any) -> Driver:
    """A driver as `launch` makes it."""
    progress = Lines(record.spec, record.note)
    return Driver(record, "none", storage.checkpoints(record.spec.name), progress, **told)


def simulate(study: Study, storage: Storage, slots: int, every: int) -> Iterator[Line]:
    """Run it to its end."""
    with held(study.engine, study.name) as lease:
        driver = driver_of(Record(study, lease), storage, asked=lease.request)
        due: list[tuple[float, int]] = []  # when a trial reports next, its number
        curves: dict[int, Curve] = {}

        def begin(now: float) -> bool:
            task = driver.next_task()
            if task is not None:
                curves[task.number] = curve = Curve(task)
                heappush(due, (now + curve.pace, task.number))
            return task is not None

        decisions = ended = 0
        wall, cpu = time.monotonic(), time.process_time()
        for _ in range(slots):
            decisions += begin(0.0)
        while due:
            now, number = heappop(due)
            curve = curves[number]
            driver.record_cost(number, curve.cost)
            decisions += 1
            if driver.report(number, curve.next()):
                heappush(due, (now + curve.pace, number))
                continue
            del curves[number]
            ended += 1
            if ended % every == 0:
                spent = time.monotonic() - wall, time.process_time() - cpu
                yield Line(ended, decisions, *spent, rss_mb(), size_mb(study))
                decisions, wall, cpu = 0, time.monotonic(), time.process_time()
            decisions += begin(now)
        driver.close()


class Curve:
    """What a trial would report."""

    def __init__(self, task: TrialTask) -> None:
        values = task.config.as_dict()
        self._random = random.Random(task.identity)
        off = abs(math.log(values["training"]["learning_rate"]) - BEST_LOG_RATE)
        self._floor = (
            FLOORS[values["model"]["kind"]] * (1 + 0.3 * off * off) * self._random.lognormvariate(0, 0.1)
        )
        self._power = self._random.uniform(0.5, 1.5)
        self._index, self._best = 0, float("inf")
        self.pace = self._random.lognormvariate(0, 0.3)  # from one report to the next
        self.cost = Cost(1000, 4096, self._random.uniform(1, 50))

    def next(self) -> Report:
        """The next of its reports."""
        self._index += 1
        fallen = (1 + self._index) ** -self._power
        value = (self._floor + (FIRST - self._floor) * fallen) * self._random.lognormvariate(0, 0.02)
        self._best = min(self._best, value)
        now, best = (dict.fromkeys(METRICS, each) for each in (value, self._best))
        step = 100 * self._index
        return Report(self._index, step, 60 * self._index / 9, value, now, best, step, diverged=False)


def rss_mb() -> float:
    """Memory of this process, its peak, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "linux" else peak / MB


def size_mb(study: Study) -> float | None:
    """Of the record's file; None for a server's."""
    url = study.engine.url
    return Path(str(url.database)).stat().st_size / MB if url.get_backend_name() == "sqlite" else None
