"""The leaderboard as a table for people and as JSON for machines."""

from typing import Any

from rich.table import Table
from rich.text import Text

from search.progress import summary
from search.searches import Search
from search.study import TrialRow

STATE_STYLES = {"complete": "green", "running": "cyan", "pruned": "dim", "failed": "red", "diverged": "red"}


def board_json(search: Search, rows: list[TrialRow]) -> dict[str, Any]:
    """`{"search", "state", "trials"}`, best first: a stable interface, described in the README."""
    return {"search": search.name, "state": search.state, "trials": [row.model_dump() for row in rows]}


def board_table(search: Search, rows: list[TrialRow], limit: int = 20) -> Table:
    """The first `limit` rows, best first; the rest is counted."""
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
    for name in ("trial", "mr_stft", "esr", "share", "× RT", "R ms", "weights", "CPU s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("model", overflow="fold")
    sample_rate = search.sample_rate
    for row in rows[:limit]:
        field = "∞" if row.receptive_field is None else f"{1000 * row.receptive_field / sample_rate:.1f}"
        table.add_row(
            str(row.id),
            *(_number(row.metrics.get(name)) for name in ("mr_stft", "esr", "log_mel_share")),
            "" if row.realtime_factor is None else f"{row.realtime_factor:.1f}",
            "" if row.parameters is None else field,
            "" if row.parameters is None else f"{row.parameters:,}",
            f"{row.compute_seconds:.1f}",
            Text(row.state, style=STATE_STYLES.get(row.state, "")),
            Text(summary(row.config) + (f" ({row.reason})" if row.state == "failed" else "")),
        )
    return table


def pareto(rows: list[TrialRow], objective: str) -> list[TrialRow]:
    """The rows that no other row beats in both the objective and the real-time factor, best first."""
    front: list[TrialRow] = []
    for row in rows:  # best objective first: a row is on the front if it plays faster than all before
        fastest = max((kept.realtime_factor or 0.0 for kept in front), default=0.0)
        if objective in row.metrics and (row.realtime_factor or 0.0) > fastest:
            front.append(row)
    return front


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"
