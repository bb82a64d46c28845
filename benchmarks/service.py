"""What viewers cost a search: the pace of its trials while fifty pages watch it, over their pace alone.

python benchmarks/service.py ROOT STORE [VIEWERS] [TURNS]

A search trains on every core with `fxsearch serve` beside it; turns with viewers follow turns without. A
trial's pace is the CPU time that it gets in a second, since it trains without a pause. Where other work
shares the machine that is noisy; told beside it is what all else but the trials takes, the service above
all: trials that fill the machine must go without it.

Each viewer holds the event stream and, after each event, fetches what the page fetches: board, and data of
the plots. The record is touched twice a second, so that there is always something new. Viewers belong on
other machines: they run at the lowest priority, and their own time is not counted.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple
from urllib.request import urlopen

HOST, PORT = "127.0.0.1", 8197
NAME = "watched"
SETTLE_SECONDS, TURN_SECONDS = 6.0, 20.0
CORES = len(os.sched_getaffinity(0))
COMMAND = [sys.executable, "-m", "search.cli"]


def main(root: str, store: str, viewers: int = 50, turns: int = 20) -> None:
    spec = {
        "name": NAME,
        "data": store,
        "budget": {"trials": CORES, "trial_seconds": 3600},
        "families": {"lstm": {"hidden": [16, 40]}},
        "structured": False,
    }
    record = Path(root) / "searches" / NAME / "study.db"
    with (
        tempfile.NamedTemporaryFile("w", suffix=".yaml") as file,
        running("serve", "--port", str(PORT), root=root) as service,
    ):
        json.dump(spec, file)
        file.flush()
        with running("launch", file.name, root=root) as search:
            wait_until_it_trains(search)
            slowdowns, costs, fetched = [], [], multiprocessing.Value("l")
            before = pace(search, service, record)
            for _ in range(turns):
                with watched(viewers, fetched):
                    start = fetched.value
                    during = pace(search, service, record)
                    count = fetched.value - start
                after = pace(search, service, record)
                slowdowns.append(1 - during.trials / mean((before.trials, after.trials)))
                costs.append(during.rest - mean((before.rest, after.rest)))
                print(
                    f"CPU s a second: trials {before.trials:.3f} alone, {during.trials:.3f} watched, "
                    f"{after.trials:.3f} alone; the rest {before.rest:.3f}, {during.rest:.3f}, "
                    f"{after.rest:.3f}; {count} fetches",
                    flush=True,
                )
                before = after
    scatter = stdev(slowdowns) / len(slowdowns) ** 0.5
    slower = f"slower by {percent(mean(slowdowns))} ± {percent(scatter)}, mean of {turns} turns"
    print(f"{viewers} viewers: trials {slower}")
    print(f"they take {percent(mean(costs) / CORES)} of {CORES} cores, {percent(mean(costs))} of one")


@contextmanager
def running(*arguments: str, root: str) -> Iterator[int]:
    """A command of fxsearch, ended afterwards; its process id."""
    process = subprocess.Popen([*COMMAND, *arguments, "--storage", root], stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)  # a search would wait for its trials' reports
        process.wait()


def wait_until_it_trains(search: int) -> None:
    for _ in range(600):
        if sum(is_trial(pid) and seconds > 5.0 for pid, seconds in spent(search).items()) == CORES:
            return
        time.sleep(1.0)
    raise SystemExit("the search did not start")


class Pace(NamedTuple):
    """CPU seconds a second of a search's trials, and of all else that belongs to it and to the service."""

    trials: float
    rest: float


def pace(search: int, service: int, record: Path) -> Pace:
    time.sleep(SETTLE_SECONDS)
    known, start = spent(search, service), time.monotonic()
    while time.monotonic() < start + TURN_SECONDS:
        record.touch()
        time.sleep(0.5)
    seconds, now = time.monotonic() - start, spent(search, service)
    grown = {pid: now[pid] - known.get(pid, 0.0) for pid in now}
    trials = sum(more for pid, more in grown.items() if is_trial(pid))
    return Pace(trials / seconds, (sum(grown.values()) - trials) / seconds)


def spent(*roots: int) -> dict[int, float]:
    """CPU seconds so far of some processes and of all below them."""
    found: dict[int, float] = {}
    for pid in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        with suppress(OSError):  # it has ended
            values = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            if pid in roots or int(values[1]) in found:
                found[pid] = (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
    return found


def is_trial(pid: int) -> bool:
    """Whether Ray runs a trial in that process."""
    with suppress(OSError):
        return b"Trainable" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@contextmanager
def watched(viewers: int, fetched: "Synchronized[int]") -> Iterator[None]:
    """That many viewers, in one process of the lowest priority."""
    process = multiprocessing.Process(target=watch, args=(viewers, fetched))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def watch(viewers: int, fetched: "Synchronized[int]") -> None:
    os.nice(19)
    threads = [threading.Thread(target=view, args=(fetched,)) for _ in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def view(fetched: "Synchronized[int]") -> None:
    with urlopen(f"http://{HOST}:{PORT}/api/searches/{NAME}/events") as events:
        for line in events:
            if line.startswith(b"event"):
                pages = HTTPConnection(HOST, PORT)
                for part in ("board", "plots"):
                    pages.request("GET", f"/searches/{NAME}/{part}")
                    pages.getresponse().read()
                pages.close()
                with fetched.get_lock():
                    fetched.value += 2


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


if __name__ == "__main__":
    root, store, *numbers = sys.argv[1:]
    main(root, store, *(int(number) for number in numbers))
