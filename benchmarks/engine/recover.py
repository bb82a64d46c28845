"""How soon trials go on after a fault: a head and two workers on this machine, with the settings of head.sh.

Either worker has room for both trials of a search. The fault comes when both have reported; a trial goes on
when its new process gives the report that its checkpoint holds.
"""

import os
import re
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from fxcore.errors import SearchError
from fxcore.training import Report
from search import SearchSpec, launch, open_search
from search.checking import problems
from search.progress import Progress
from tests.search.cluster import Cluster

HEAD = Path("examples/cluster/head.sh")
SPEC = {
    "families": {"lstm": {"hidden": 8}, "gru": {"hidden": 8}},
    "budget": {"trials": 2, "trial_seconds": 18},
    "structured": False,
    "stopping": {"halving": False, "plateau": None},
}


def add_arguments(parser: ArgumentParser) -> None:
    """Those of `run`."""
    parser.add_argument("store", type=Path, help="a sample store")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=[*FAULTS])


def run(asked: Namespace) -> None:
    """Take turns, and print median and worst."""
    health = dict(re.findall(r"(RAY_health_check_\w+)=(\d+)", HEAD.read_text()))
    found: dict[str, list[Fault]] = {name: [] for name in asked.faults}
    with TemporaryDirectory() as root:
        cluster = Cluster(Path(root), health, cpus=2)
        os.environ.update(cluster.environment)
        try:
            for i in range(asked.rounds):
                for name, faults in found.items():
                    settings = {"name": f"{name}-{i}", "data": str(asked.store.absolute())}
                    faults.append(go_through(name, SearchSpec.from_dict({**SPEC, **settings}), cluster))
        finally:
            cluster.stop()
    print("\n| | noticed after s, median and worst | goes on after s |\n|---|---|---|")
    for name, faults in found.items():
        columns = [each.noticed for each in faults], [each.resumed for each in faults]
        cells = [f"{median(seconds):.1f}, {max(seconds):.1f}" for seconds in columns]
        print(f"| {name} | {' | '.join(cells)} |")


def go_through(name: str, spec: SearchSpec, cluster: Cluster) -> "Fault":
    """One search with one fault, proven whole."""
    cluster.start()
    fault = Fault(spec.name, cluster, FAULTS[name])
    search = launch(spec, address=cluster.address, progress=fault)
    if wrong := problems(search):
        raise SearchError("; ".join(wrong))
    if fault.worker in cluster.nodes:  # it may be frozen
        cluster.kill(fault.worker)
    print(
        f"{spec.name}: noticed after {fault.noticed:.1f} s, goes on after {fault.resumed:.1f} s", flush=True
    )
    return fault


class Fault(Progress):
    """Does harm once, takes the time until all trials that died of it go on, and stops the search."""

    worker = ""

    def __init__(self, name: str, cluster: Cluster, harm: Callable[[Cluster, str], int]) -> None:
        """`harm` gets the worker and returns how many trials die of it."""
        self._name, self._cluster, self._harm = name, cluster, harm
        self._last: dict[int, int] = {}  # report of each trial
        self._start, self._trials = 0.0, 0
        self._noticed: dict[int, float] = {}
        self._resumed: dict[int, float] = {}

    @property
    def noticed(self) -> float:
        """Seconds until the driver knew of all."""
        return self._until_all(self._noticed)

    @property
    def resumed(self) -> float:
        """Seconds until all went on."""
        return self._until_all(self._resumed)

    def reported(self, number: int, report: Report) -> None:
        if number in self._noticed and number not in self._resumed:
            self._resumed[number] = time.monotonic() - self._start
            if report.index < self._last[number]:
                raise SearchError(f"trial {number} goes on from report {report.index}, not its last")
            if len(self._resumed) == self._trials:
                open_search(self._name).stop()
        self._last[number] = report.index
        if not self.worker and len(self._last) == 2:
            self.worker = next(name for name in self._cluster.nodes if self._cluster.trials(name))
            self._start = time.monotonic()
            self._trials = self._harm(self._cluster, self.worker)

    def note(self, text: str) -> None:
        if died := re.match(r"trial (\d+): its process died; it is started again", text):
            self._noticed[int(died[1])] = time.monotonic() - self._start

    def _until_all(self, seconds: dict[int, float]) -> float:
        return max(seconds.values()) if len(seconds) == self._trials else float("inf")


def kill_trial(cluster: Cluster, worker: str) -> int:
    """End one process."""
    os.kill(cluster.trials(worker)[0], signal.SIGKILL)
    return 1


def kill_node(cluster: Cluster, worker: str) -> int:
    """End a worker with all that runs on it."""
    trials = len(cluster.trials(worker))
    cluster.kill(worker)
    return trials


def freeze_node(cluster: Cluster, worker: str) -> int:
    """Stop a worker; its connections stay open."""
    cluster.freeze(worker)
    return len(cluster.trials(worker))


FAULTS = {"trial-killed": kill_trial, "node-killed": kill_node, "node-frozen": freeze_node}
