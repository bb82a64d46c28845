"""The leaderboard: as a table for people, as JSON and CSV for machines, and two of its trials side by side.

Beside the trials it has marked rows: the dry signal, which a model must beat to be of any use, the floor
that no model can beat, and the baseline, which is a trial.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fxcore.errors import SearchError
from search.progress import summary
from search.references import BASELINES, SHOWN_METRICS, Reference
from search.searches import Search
from search.speeds import speed
from search.study import NOT_RUN, WITHOUT_MODEL, TrialRow
from search.where import parse_where

STATE_STYLES = {"complete": "green", "running": "cyan", "pruned": "dim"}
STATE_STYLES |= dict.fromkeys((*NOT_RUN, *WITHOUT_MODEL), "red")
COLUMNS = {"log_mel_share": "share"}  # names that are shorter here than in JSON
HIGHER_IS_BETTER = ("realtime_factor",)
OF_A_PLACE = ("rank", "id", "reason")  # what two trials are not compared by


def board_json(search: Search, rows: list[TrialRow], references: Sequence[Reference] = ()) -> dict[str, Any]:
    """The README describes it: a stable interface. Trials are best first."""
    return {
        "search": search.name,
        "state": search.state,
        "references": [reference._asdict() for reference in references],
        "trials": [row.model_dump() for row in rows],
    }


def board_csv(rows: list[TrialRow]) -> str:
    """One line a trial, best first, with every value that any of them has; nothing where one has none."""
    flat = [row.flat() for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for values in flat for name in values)))
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def board_table(
    search: Search, rows: list[TrialRow], references: Sequence[Reference] = (), limit: int = 20
) -> Table:
    """The first `limit` rows, best first, the marked rows among them; the rest is counted."""
    spec = search.spec
    table = Table(
        title=f"{search.name} · {search.state} · best first by {spec.objective} on the validation split",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        caption="share: log-mel distance to the wet over the dry's; × RT: times real time; R: receptive field"
        + (f"\nand {len(rows) - limit} more; --json lists all" if len(rows) > limit else ""),
        caption_justify="left",
    )
    metrics = list(dict.fromkeys([spec.objective, *SHOWN_METRICS]))
    names = [COLUMNS.get(name, name) for name in metrics]
    for name in ("#", "trial", *names, "× RT", "R ms", "weights", "CPU s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("model", overflow="fold")
    for row in _with_marks(rows[:limit], references, spec.objective):
        values = [_number(row.metrics.get(name)) for name in metrics]
        if isinstance(row, Reference):
            blank = [""] * 4
            table.add_row("", "", *values, *blank, "", Text(f"— {row.name} —"), style="italic yellow")
        else:
            cells = _cells(row, values, search.sample_rate)
            table.add_row(*cells, style="yellow" if row.family in BASELINES else "")
    return table


def pareto(rows: list[TrialRow], objective: str) -> list[TrialRow]:
    """The rows that no other row beats in both the objective and the real-time factor, best first."""
    front: list[TrialRow] = []
    fastest = 0.0
    for row in rows:  # best objective first: a row is on the front if it plays faster than all before
        if objective in row.metrics and (row.realtime_factor or 0.0) > fastest:
            fastest = row.realtime_factor or 0.0
            front.append(row)
    return front


def costed(search: Search, rows: list[TrialRow], engine: str) -> list[TrialRow]:
    """The rows with the real-time factors of an engine of `fxcore.export.cost`; None where it plays none."""
    if engine == "stream":  # as the trials measured it
        return rows

    def factor(row: TrialRow) -> float | None:
        try:
            return speed(search.playable(row.id), engine, search.folder)
        except SearchError:  # it has no model
            return None

    return [row.model_copy(update={"realtime_factor": factor(row)}) for row in rows]


def chosen(rows: list[TrialRow], where: str) -> list[TrialRow]:
    """The rows that meet a condition (see `search.where`); raises `SpecError`."""
    flat = [row.flat() for row in rows]
    known = {*TrialRow.model_fields, *(name for values in flat for name in values)} - {"config", "metrics"}
    condition = parse_where(where, known)
    return [row for row, values in zip(rows, flat, strict=True) if condition(values)]


def comparison(rows: list[TrialRow], first: int, second: int) -> Table:
    """Two trials side by side: what differs between them; of what is measured, the better in bold."""
    by_id = {row.id: row for row in rows}
    for number in (first, second):
        if number not in by_id:
            best = ", ".join(str(row.id) for row in rows[:8])
            raise SearchError(f"no trial {number} to compare; the best are {best or 'none yet'}")
    sides = [by_id[number].flat() for number in (first, second)]
    names = [name for name in dict.fromkeys([*sides[0], *sides[1]]) if name not in OF_A_PLACE]
    differing = [name for name in names if sides[0].get(name) != sides[1].get(name)]
    equal = len(names) - len(differing)
    table = Table(box=None, pad_edge=False, caption=f"{equal} more are equal", caption_justify="left")
    table.add_column("", no_wrap=True)
    for number in (first, second):
        table.add_column(f"trial {number}", justify="right")
    measured = {*by_id[first].metrics, *HIGHER_IS_BETTER}
    for name in differing:
        pair = [side.get(name) for side in sides]
        better = _better(name, pair) if name in measured else None
        table.add_row(
            name, *(Text(_value(v), "bold green" if i == better else "") for i, v in enumerate(pair))
        )
    return table


def _better(name: str, pair: list[Any]) -> int | None:
    """Which of two is better, if both are there."""
    if None in pair:
        return None
    return int((pair[1] < pair[0]) != (name in HIGHER_IS_BETTER))


def _with_marks(
    rows: Sequence[TrialRow], references: Sequence[Reference], objective: str
) -> list[TrialRow | Reference]:
    """References before the first row that is worse; those that the objective does not know first."""
    merged: list[TrialRow | Reference] = list(rows)
    for reference in references:
        value = reference.metrics.get(objective, float("-inf"))
        worse = (
            place
            for place, row in enumerate(merged)
            if row.metrics.get(objective, float("inf")) > value or getattr(row, "state", "") in WITHOUT_MODEL
        )
        merged.insert(next(worse, len(merged)), reference)
    return merged


def _cells(row: TrialRow, values: list[str], sample_rate: int) -> list[str | Text]:
    field = "∞" if row.receptive_field is None else f"{1000 * row.receptive_field / sample_rate:.1f}"
    mark = " — baseline —" if row.family in BASELINES else ""
    return [
        "" if row.rank is None else str(row.rank),
        str(row.id),
        *values,
        "" if row.realtime_factor is None else f"{row.realtime_factor:.1f}",
        "" if row.parameters is None else field,
        "" if row.parameters is None else f"{row.parameters:,}",
        f"{row.compute_seconds:.1f}",
        Text(row.state, style=STATE_STYLES.get(row.state, "")),
        Text(
            summary(row.config) + mark + (f" ({row.reason})" if row.reason and row.state != "pruned" else "")
        ),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "–" if value is None else f"{value:,}" if type(value) is int else str(value)
