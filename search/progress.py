"""Shows a running search: a live table in a terminal, plain lines elsewhere, nothing in tests."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fxcore.training import Report
from search.config import SearchSpec, TrialConfig

SPARKS = "▁▂▃▄▅▆▇█"


class Progress:
    """What a driver tells while a search runs; this one shows nothing."""

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

    def __init__(self, spec: SearchSpec, console: Console) -> None:
        self.spec, self.console = spec, console
        self._last: dict[int, Report] = {}

    def started(self, number: int, config: TrialConfig) -> None:
        self._print(f"trial {number} started: {summary(config.as_dict())}")

    def reported(self, number: int, report: Report) -> None:
        self._last[number] = report

    def ended(self, number: int, state: str, reason: str | None) -> None:
        report = self._last.pop(number, None)
        best = f", {self.spec.objective} {report.best[self.spec.objective]:.4g}" if report else ""
        self._print(f"trial {number} {state}{best}{f' ({reason})' if reason else ''}")

    def note(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        self.console.print(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}", highlight=False, markup=False)


class Screen(Progress):
    """One screen: budget, running trials with their curves, best so far."""

    def __init__(self, spec: SearchSpec, live: Live) -> None:
        self.spec, self.live, self._start = spec, live, time.monotonic()
        self._running: dict[int, tuple[TrialConfig, list[Report]]] = {}
        self._ended: dict[str, int] = {}
        self._best: tuple[float, str] | None = None
        self._note = ""

    def started(self, number: int, config: TrialConfig) -> None:
        self._running[number] = (config, [])
        self._show()

    def reported(self, number: int, report: Report) -> None:
        config, reports = self._running[number]
        reports.append(report)
        value = report.rating(self.spec.objective)
        if self._best is None or value < self._best[0]:
            share = report.best["log_mel_share"]
            self._best = (value, f"trial {number}, {summary(config.as_dict())}, log-mel share {share:.3f}")
        self._show()

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self._running.pop(number, None)
        self._ended[state] = self._ended.get(state, 0) + 1
        self._show()

    def note(self, text: str) -> None:
        self._note = text
        self._show()

    def _show(self) -> None:
        spec, table = self.spec, Table(box=None, pad_edge=False)
        for column in ("trial", "model", "report", spec.objective, "curve"):
            table.add_column(column, style="dim" if column == "model" else "")
        for number, (config, reports) in self._running.items():
            values = [r.metrics[spec.objective] for r in reports]
            last = f"{values[-1]:.4g}" if values else "–"
            done = f"{reports[-1].index if reports else 0}/{config.budget.reports}"
            table.add_row(str(number), summary(config.as_dict()), done, last, sparkline(values))
        minutes = (time.monotonic() - self._start) / 60
        limit = f" of {spec.budget.minutes:g}" if spec.budget.minutes else ""
        ended = ", ".join(f"{count} {state}" for state, count in sorted(self._ended.items())) or "none ended"
        head = f"{spec.name}: {minutes:.1f}{limit} min, {spec.budget.trials} trials ({ended})"
        best = (
            f"best {spec.objective} {self._best[0]:.4g}: {self._best[1]}" if self._best else "no report yet"
        )
        lines = Text(best, style="green"), Text(self._note, style="yellow")
        self.live.update(Group(Text(head, style="bold"), table, *lines), refresh=True)


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
