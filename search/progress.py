"""Shows a running search: a live table in a terminal, plain lines elsewhere, nothing in tests."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fxcore.training import Report
from search.config import SearchSpec, TrialConfig

SPARKS = "▁▂▃▄▅▆▇█"


class Progress:
    """What a driver tells while a search runs; this one shows nothing."""

    def slots(self, count: int) -> None:
        """So many trials may run at once."""

    def started(self, number: int, config: TrialConfig) -> None:
        """A trial begins, or goes on after an interruption."""

    def reported(self, number: int, report: Report) -> None:
        """A running trial has a new report."""

    def ended(self, number: int, state: str, reason: str | None) -> None:
        """A trial has reached its final state."""

    def note(self, text: str) -> None:
        """Something a person should know."""


class Several(Progress):
    """Tells each of some others."""

    def __init__(self, *others: Progress) -> None:
        self._others = others

    def slots(self, count: int) -> None:
        for other in self._others:
            other.slots(count)

    def started(self, number: int, config: TrialConfig) -> None:
        for other in self._others:
            other.started(number, config)

    def reported(self, number: int, report: Report) -> None:
        for other in self._others:
            other.reported(number, report)

    def ended(self, number: int, state: str, reason: str | None) -> None:
        for other in self._others:
            other.ended(number, state, reason)

    def note(self, text: str) -> None:
        for other in self._others:
            other.note(text)


class Lines(Progress):
    """A line for each trial that starts and ends: for logs."""

    def __init__(self, spec: SearchSpec, write: Callable[[str], None]) -> None:
        self.spec, self._write = spec, write
        self._last: dict[int, Report] = {}

    def started(self, number: int, config: TrialConfig) -> None:
        self._write(f"trial {number} started: {summary(config.as_dict())}")

    def reported(self, number: int, report: Report) -> None:
        self._last[number] = report

    def ended(self, number: int, state: str, reason: str | None) -> None:
        report = self._last.pop(number, None)
        best = f", {self.spec.objective} {report.best[self.spec.objective]:.4g}" if report else ""
        self._write(f"trial {number} {state}{best}{f' ({reason})' if reason else ''}")

    def note(self, text: str) -> None:
        self._write(text)


class Screen(Progress):
    """One screen: budget, slots, running trials with their curves, best so far, time left."""

    def __init__(self, spec: SearchSpec, live: Live) -> None:
        self.spec, self.live, self._start = spec, live, time.monotonic()
        self._running: dict[int, tuple[TrialConfig, list[Report]]] = {}
        self._ended: dict[str, int] = {}
        self._best: tuple[float, str] | None = None
        self._slots, self._note = 0, ""

    def slots(self, count: int) -> None:
        self._slots = count
        self._show()

    def started(self, number: int, config: TrialConfig) -> None:
        self._running[number] = (config, [])
        self._show()

    def reported(self, number: int, report: Report) -> None:
        config, reports = self._running[number]
        reports.append(report)
        value = report.rating(self.spec.objective)
        if self._best is None or value < self._best[0]:
            esr = report.best["esr"]
            self._best = (value, f"trial {number}, {summary(config.as_dict())}, ESR {esr:.2g}")
        self._show()

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self._running.pop(number, None)
        self._ended[state] = self._ended.get(state, 0) + 1
        self._show()

    def note(self, text: str) -> None:
        self._note = text
        self._show()

    def _show(self) -> None:
        table = Table(box=None, pad_edge=False)
        for column in ("trial", "model", "report", self.spec.objective, "curve"):
            table.add_column(column, style="dim" if column == "model" else "")
        for number, (config, reports) in self._running.items():
            values = [r.metrics[self.spec.objective] for r in reports]
            last = f"{values[-1]:.4g}" if values else "–"
            done = f"{reports[-1].index if reports else 0}/{config.budget.reports}"
            table.add_row(str(number), summary(config.as_dict()), done, last, sparkline(values))
        best = "no report yet"
        if self._best:
            best = f"best {self.spec.objective} {self._best[0]:.4g}: {self._best[1]}"
        lines = Text(best, style="green"), Text(self._note, style="yellow")
        self.live.update(Group(Text(self._head(), style="bold"), table, *lines), refresh=True)

    def _head(self) -> str:
        """Budget, slots and time left, in one line."""
        spec, minutes = self.spec, (time.monotonic() - self._start) / 60
        parts = [f"{spec.name}: {minutes:.1f} min"]
        if spec.budget.minutes:
            parts.append(f"{max(0.0, spec.budget.minutes - minutes):.1f} left")
        elif (left := self._minutes_left(minutes)) is not None:
            parts.append(f"about {left:.0f} left")
        ended = ", ".join(f"{count} {state}" for state, count in sorted(self._ended.items())) or "none ended"
        parts += [
            f"{spec.budget.trials} trials ({ended})",
            f"{min(len(self._running), self._slots)} of {self._slots} slots busy",  # one more may wait
        ]
        return " · ".join(parts)

    def _minutes_left(self, minutes: float) -> float | None:
        """By how long the trials took that this process has seen; None before the first has ended."""
        ended = sum(self._ended.values())
        under_way = sum(r[-1].index / c.budget.reports for c, r in self._running.values() if r)
        if not ended:
            return None
        return max(0.0, minutes * (self.spec.budget.trials / (ended + under_way) - 1))


def summary(config: Mapping[str, Any]) -> str:
    """A trial's model in a few words: `lstm layers=1 hidden=32 · mixture bits=12`."""
    model = dict(config["model"])
    output = dict(model.pop("output"))
    family, kind = model.pop("kind"), output.pop("kind")
    words = [family, *(f"{name}={value}" for name, value in model.items() if value is not False)]
    if kind != "regression":
        words += ["·", kind, *(f"{name}={value}" for name, value in output.items())]
    return " ".join(words)


def sparkline(values: list[float]) -> str:
    """Values as a row of bars, the highest in view the tallest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / (len(SPARKS) - 1) or 1.0
    return "".join(SPARKS[round((value - low) / step)] for value in values)
