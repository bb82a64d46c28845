"""What early stopping and a learning sampler save: two searches of equal compute, on the same space and pair.

Ours stops trials by successive halving within each family and draws by TPE; the other draws at random and
stops none. Both start from nothing (no family's defaults first) and run trials one after another in this
process until all of its CPU time, the search's own included, has reached the budget.
"""

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from datasets.store import SampleStore
from fxcore.training import Report
from search import SearchSpec, launch
from search.config import TrialConfig
from search.lease import ask
from search.progress import Progress
from search.storage import Storage
from search.study import Start, Study
from search.trial import training_data

SPACE = {
    "families": {
        "lstm": {"hidden": [8, 40], "tail_taps": [0, 512, 2048]},
        "conv": None,
        "wavenet": {"layers": [6, 14], "window": [256, 8192], "channels": [4, 16], "kernel": [2, 5]},
    },
    "training": {"learning_rate": [0.001, 0.03]},
    "structured": False,
}
KINDS: dict[str, dict[str, Any]] = {
    "halving and TPE": {},
    "random": {"sampler": "random", "stopping": {"halving": False, "plateau": None}},
}
OURS, RANDOM = KINDS
SHOWN_SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)  # of the budget


def add_arguments(parser: ArgumentParser) -> None:
    """Those of `run`."""
    parser.add_argument("results", type=Path, help="a JSON-lines file; what it holds is not run again")
    parser.add_argument("--store", type=Path, help="a sample store; without one, only the table is printed")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--trial-seconds", type=float, default=15.0, help="CPU seconds of a whole trial")
    parser.add_argument("--seconds", type=float, default=210.0, help="CPU seconds of a search")


def run(asked: Namespace) -> None:
    """Run what is missing and print the table."""
    torch.set_num_threads(1)
    known = {(found["kind"], found["seed"]) for found in _read(asked.results)}
    if asked.store is not None:
        search_once(RANDOM, 0, asked.store, 1.0, 2.0)  # what a process loads once is on neither's account
    for seed, kind in product(asked.seeds, KINDS):
        if asked.store is not None and (kind, seed) not in known:
            found = search_once(kind, seed, asked.store, asked.trial_seconds, asked.seconds)
            with asked.results.open("a") as file:
                file.write(json.dumps(found) + "\n")
    print_table(_read(asked.results))


def search_once(kind: str, seed: int, store: Path, trial_seconds: float, seconds: float) -> dict[str, Any]:
    """One search, with its curve: CPU seconds and objective of each new best."""
    budget = {"trials": 10_000, "trial_seconds": trial_seconds}
    settings = {"name": "compared", "data": str(store.absolute()), "seed": seed, "budget": budget}
    spec = SearchSpec.from_dict({**settings, **SPACE, **KINDS[kind]})
    opened = SampleStore.open(store)
    training_data(spec.data)  # decoded once, for whichever search comes first
    with TemporaryDirectory() as root:
        where = Storage(root)
        where.search(spec.name).mkdir(parents=True)
        study = Study.create(
            where.database(spec.name), spec, opened.digest, opened.manifest.sample_rate, Start()
        )
        watch = Watch(spec, study, seconds)
        search = launch(spec, storage=root, engine="local", progress=watch)
        states = [row.state for row in search.trials()]
    counts = {state: states.count(state) for state in sorted(set(states))}
    budgets = {"trial_seconds": trial_seconds, "seconds": seconds}
    return {"kind": kind, "seed": seed, **budgets, "trials": counts, "curve": watch.curve}


class Watch(Progress):
    """Notes the best over the CPU time of this process, and stops the search when that is spent."""

    def __init__(self, spec: SearchSpec, study: Study, seconds: float) -> None:
        self.spec, self.study, self.seconds = spec, study, seconds
        self.curve: list[tuple[float, float]] = []
        self._start = time.process_time()

    def started(self, number: int, config: TrialConfig) -> None:
        print(f"{self._spent():6.1f} s  trial {number}: {config.model.kind}", flush=True)

    def reported(self, number: int, report: Report) -> None:
        value, spent = report.rating(self.spec.objective), self._spent()
        if spent > self.seconds:
            ask(self.study.engine, self.spec.name, "stop")
        elif not self.curve or value < self.curve[-1][1]:
            self.curve.append((spent, value))
            print(f"{spent:6.1f} s  {value:.4f}", flush=True)

    def _spent(self) -> float:
        return time.process_time() - self._start


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """Best by compute, and how much sooner ours reaches what random search ends with."""
    curves = {kind: [found["curve"] for found in results if found["kind"] == kind] for kind in KINDS}
    if not all(curves.values()):
        return
    seconds = results[0]["seconds"]
    shown = [share * seconds for share in SHOWN_SHARES]
    print("| best log-mel share after CPU s | " + " | ".join(f"{at:.0f}" for at in shown) + " | trials |")
    print("|---" * (len(shown) + 2) + "|")
    for kind, found in curves.items():
        cells = []
        for at in shown:
            values = [best_at(curve, at) for curve in found]
            cells.append(f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        trials = [sum(each["trials"].values()) for each in results if each["kind"] == kind]
        print(f"| {kind} | " + " | ".join(cells) + f" | {min(trials)} to {max(trials)} |")
    ratios = [
        seconds / reached(ours, random[-1][1]) for ours, random in product(curves[OURS], curves[RANDOM])
    ]
    strict = [
        random[-1][0] / reached(ours, random[-1][1]) for ours, random in product(curves[OURS], curves[RANDOM])
    ]
    print(f"\n{len(ratios)} pairings of a search of ours with one at random: {sum(map(bool, ratios))} reach")
    for name, found in (("the whole of random's budget", ratios), ("random's time to its own best", strict)):
        print(
            f"its best; {name} over ours to it: median {median(found):.1f}, {sorted(found)[0]:.1f} to "
            f"{sorted(found)[-1]:.1f} (0: not reached)"
        )


def best_at(curve: Sequence[tuple[float, float]], seconds: float) -> float:
    """The best by then."""
    return min((value for at, value in curve if at <= seconds), default=float("inf"))


def reached(curve: Sequence[tuple[float, float]], value: float) -> float:
    """When a value was reached; infinite where it was not."""
    return next((at for at, best in curve if best <= value), float("inf"))


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
