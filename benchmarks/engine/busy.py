"""How much of the time slots train, where trials are real: 16 of 10 CPU seconds on 2 slots.

Counted from when every slot has ended its first trial until no new one is there to begin. On a machine that
does other work, too, a slot that wants the processor may not get it: so what is told is for how much of the
time its process was ready to run (Linux' `schedstat`), and how much of its CPU time went into training.
"""

import os
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from fxcore.training import Report
from search import SearchSpec, launch
from search.progress import Progress

SPEC = {
    "name": "busy",
    "families": {
        "lstm": {"hidden": [8, 32]},
        "wavenet": {"channels": [4, 8], "layers": [6, 10]},
        "conv": None,
    },
    "structured": False,
    "stopping": {"halving": False, "plateau": None},
}
TRIAL_NAMES = ("ray::TrialActor", "ray::ResourceTrainable")  # waiting for work, and at work


class Moment(NamedTuple):
    """Sums over all slots, in seconds."""

    wall: float
    training: float  # compute that trials have reported
    cpu: float  # of the processes that run trials
    ready: float  # running, or waiting for a processor


def add_arguments(parser: ArgumentParser) -> None:
    """Those of `run`."""
    parser.add_argument("store", type=Path, help="a sample store")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--trial-seconds", type=float, default=10.0)
    parser.add_argument("--slots", type=int, default=2)


def run(asked: Namespace) -> None:
    """Search, and print the shares."""
    settings = {
        "data": str(asked.store.absolute()),
        "budget": {"trials": asked.trials, "trial_seconds": asked.trial_seconds},
        "resources": {"cpus_per_trial": (os.cpu_count() or 1) / asked.slots},
    }
    watch = Watch(asked.trials, asked.slots)
    with TemporaryDirectory() as root:
        launch(SearchSpec.from_dict({**SPEC, **settings}), storage=root, progress=watch)
    start, end = watch.moments
    wall, training, cpu, ready = (after - before for before, after in zip(start, end, strict=True))
    slots = asked.slots * wall
    print(f"{wall:.0f} s, {training:.0f} of training: {training / slots:.1%} of the slots' time")
    print(f"ready to run {ready / slots:.1%} of it, {training / cpu:.1%} of the CPU time for training")
    print(f"so that slots trained {ready / slots * training / cpu:.1%} of the time they could have")


class Watch(Progress):
    """Takes both moments."""

    def __init__(self, trials: int, slots: int) -> None:
        self.trials, self.at_once = trials, slots
        self.moments: list[Moment] = []
        self._compute: dict[int, float] = {}
        self._ended = 0

    def reported(self, number: int, report: Report) -> None:
        self._compute[number] = report.compute_seconds

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self._ended += 1
        if self._ended in (self.at_once, self.trials - self.at_once):
            self.moments.append(Moment(time.monotonic(), sum(self._compute.values()), *worker_seconds()))


def worker_seconds() -> tuple[float, float]:
    """CPU seconds, and those with the waiting for a processor, of the processes that run our trials."""
    cpu = ready = 0.0
    for pid in trial_processes():
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            ran, waited, _ = (int(part) for part in task.read_text().split())
            cpu, ready = cpu + ran / 1e9, ready + (ran + waited) / 1e9
    return cpu, ready


def trial_processes() -> list[int]:
    """Ray's workers that run a trial and descend from this process."""
    parents, names = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            names[int(fields["Pid"])] = (status.parent / "cmdline").read_text()
            parents[int(fields["Pid"])] = int(fields["PPid"])
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return [pid for pid, name in names.items() if name.startswith(TRIAL_NAMES) and ours(pid)]
