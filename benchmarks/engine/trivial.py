"""Trials a second where training costs next to nothing, beside plain Ray Tune with reused actors.

Ours are real trials: drawn by TPE, trained, judged by all metrics, checkpointed and recorded. Tune's draw at
random and keep nothing: one kind reports as often and does no work, the other trains the same model.
"""

import json
import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from datasets.recipe import Recipe
from datasets.render import render
from search import SearchSpec, launch
from search.config import TrialConfig
from search.progress import Progress

PEER = Path(__file__).parent.parent / "peers" / "plain_tune.py"
RECIPE = {
    "sample_rate": 8000,
    "effect": {"kind": "distortion"},
    "track": {"segments": 1, "segment_seconds": 2.0},
    "splits": {"train": 1, "validation": 1, "test": 1},
}
SPEC = {
    "name": "trivial",
    "training": {"batch": 1, "block_samples": 256, "learning_rate": [0.001, 0.01]},
    "structured": False,
    "stopping": {"halving": False, "plateau": None},  # each gives all its reports
}
FAMILIES = {
    "fir": {"taps": [16, 2048]},  # solved, not trained: one report
    "conv": {"layers": [1, 2], "window": [2, 512], "channels": [1, 4]},  # a step for each of nine reports
}
KINDS = ("fxsearch", "same", "empty")


def add_arguments(parser: ArgumentParser) -> None:
    """Those of `run`."""
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--rounds", type=int, default=3)


def run(asked: Namespace) -> None:
    """Take turns and print the median rates, and the ratios within each round."""
    print("| trials | | trials a second | over ours |\n|---|---|---|---|")
    with TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        render(Recipe.from_dict(RECIPE), store)
        for family in asked.families:
            rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for i in range(asked.rounds):
                ends, config = ours(family, asked.trials, asked.slots, store, Path(folder) / f"{family}-{i}")
                rates["fxsearch"].append(rate(ends, asked.slots))
                for kind in KINDS[1:]:
                    theirs = of_tune(kind, store, config, asked.trials, asked.slots)
                    rates[kind].append(rate(theirs, asked.slots))
            for kind, found in rates.items():
                ratio = median(their / our for our, their in zip(rates["fxsearch"], found, strict=True))
                spread = f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
                print(f"| {family} | {kind} | {spread} | {ratio:.2f} |", flush=True)


def rate(ends: list[float], slots: int) -> float:
    """Trials a second from when every slot has had time to end its first: processes take seconds to start."""
    ends = sorted(ends)[2 * slots :]
    return (len(ends) - 1) / (ends[-1] - ends[0])


def ours(family: str, trials: int, slots: int, store: Path, root: Path) -> tuple[list[float], TrialConfig]:
    """When each trial of a search ended, and what one was."""
    budget = {"trials": trials, "trial_steps": 9}
    settings = {
        "data": str(store),
        "budget": budget,
        "families": {family: FAMILIES[family]},
        "resources": {"cpus_per_trial": (os.cpu_count() or 1) / slots},
    }
    spec = SearchSpec.from_dict({**SPEC, **settings})
    ends = Ends()
    search = launch(spec, storage=root, progress=ends)
    return ends.times, search.study.config(0)


def of_tune(what: str, store: Path, config: TrialConfig, trials: int, slots: int) -> list[float]:
    """When each of Tune's ended."""
    arguments = [what, str(store), json.dumps(config.as_dict()), str(trials), str(slots)]
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith("TUNE_")
    }  # ours left some
    done = subprocess.run(
        [sys.executable, str(PEER), *arguments],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=plain,
    )
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


class Ends(Progress):
    """When each trial ended, in seconds of the epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self.times.append(time.time())
