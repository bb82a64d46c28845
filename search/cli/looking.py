"""Commands that look at searches and at this machine: board, report, doctor."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table

from search.cli.common import AsJson, Name, Overwrite, Root, app, console, print_json

if TYPE_CHECKING:
    from search.searches import Search


@app.command("board")
def board_command(
    name: Name,
    as_json: AsJson = False,
    only_pareto: Annotated[
        bool, typer.Option("--pareto", help="Only trials that no other beats in both quality and speed.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until the search ends.")] = False,
    storage: Root = None,
) -> None:
    """Show a search's trials, best first.

    Example: `fxsearch board quickstart --pareto`
    """
    from search.board import board_json, board_table, pareto
    from search.searches import open_search

    search = open_search(name, storage)

    def rows() -> list[Any]:
        found = search.trials()
        return pareto(found, search.spec.objective) if only_pareto else found

    if as_json:
        print_json(board_json(search, rows()))
    elif watch:
        _watch(search, lambda: board_table(search, rows()))
    else:
        console.print(board_table(search, rows()))


@app.command("report")
def report_command(
    name: Name,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="The file to write.")],
    overwrite: Overwrite = False,
    storage: Root = None,
) -> None:
    """Write one HTML file with a search's board, plots and audio; it opens without a network.

    Example: `fxsearch report quickstart --out quickstart.html`
    """
    from search.report import write_report
    from search.searches import open_search

    path = write_report(open_search(name, storage), out, overwrite=overwrite)
    console.print(str(path), soft_wrap=True)


@app.command("doctor")
def doctor_command(storage: Root = None, as_json: AsJson = False) -> None:
    """Say what this machine has: processors, GPUs, Ray, effects, free disk.

    Example: `fxsearch doctor`
    """
    from search.doctor import examine
    from search.storage import Storage

    facts = examine(Storage(storage).root)
    if as_json:
        print_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in facts.items():
        table.add_row(key.replace("_", " "), "–" if value is None else str(value))
    console.print(table)


def _watch(search: "Search", table: Callable[[], RenderableType]) -> None:
    with Live(table(), console=console, auto_refresh=False) as live:
        while search.state == "running":
            time.sleep(1.0)
            live.update(table(), refresh=True)
