"""All searches below a storage root, each in one line: its state and its best trial."""

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from fxcore.errors import SearchError
from search.board import STATE_STYLES
from search.progress import summary
from search.searches import Search
from search.storage import Storage
from search.study import TrialRow


class SearchLine(BaseModel):
    """What is told of a search in a list of them."""

    search: str
    state: str  # running, complete, interrupted; unreadable, with the reason
    data: str | None = None
    objective: str | None = None
    trials: int = 0  # begun
    of_trials: int | None = None  # that it wants: its budget, and the models given beyond that
    compute_seconds: float = 0.0
    best: TrialRow | None = None
    reason: str | None = None


def overview(storage: Storage) -> list[SearchLine]:
    """A line for each search, by name; one that cannot be read says so and hides no other."""
    return [_line(name, storage) for name in storage.searches()]


def overview_table(lines: list[SearchLine]) -> Table:
    """For people."""
    table = Table(box=None, pad_edge=False)
    for name in ("search", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("trials", "CPU s", "objective", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("model", overflow="fold")
    for line in lines:
        best = line.best
        value = best.metrics.get(line.objective or "") if best else None
        model = f"trial {best.id}: {summary(best.config)}" if best else line.reason or "no model yet"
        table.add_row(
            line.search,
            Text(line.state, style=STATE_STYLES.get(line.state, "red" if line.reason else "")),
            "" if line.of_trials is None else f"{line.trials} of {line.of_trials}",
            f"{line.compute_seconds:.0f}",
            line.objective or "",
            "" if value is None else f"{value:.4g}",
            Text(model),
        )
    return table


def _line(name: str, storage: Storage) -> SearchLine:
    try:
        search = Search(name, storage)
    except SearchError as error:
        return SearchLine(search=name, state="unreadable", reason=str(error))
    rows = search.trials()
    return SearchLine(
        search=name,
        state=search.state,
        data=search.spec.data,
        objective=search.spec.objective,
        trials=len(rows),
        of_trials=search.study.trials_wanted,
        compute_seconds=sum(row.compute_seconds for row in rows),
        best=rows[0] if rows and rows[0].metrics else None,
    )
