"""Commands that look at searches and at this machine: searches, board, report, listening, doctor."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table

from search.cli.common import EXIT_USER_ERROR, AsJson, Name, Overwrite, Root, app, console, print_json
from search.cli.elsewhere import Cluster, asked_there

if TYPE_CHECKING:
    from search.searches import Search
    from search.study import TrialRow


@app.command("searches")
def searches_command(as_json: AsJson = False, storage: Root = None) -> None:
    """List all searches with their state and their best trial.

    Example: `fxsearch searches --storage runs`
    """
    from search.overview import overview, overview_table
    from search.storage import Storage

    lines = overview(Storage(storage))
    if as_json:
        print_json([line.model_dump() for line in lines])
    else:
        console.print(overview_table(lines))


@app.command("board")
def board_command(
    name: Name,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every value of every trial as CSV.")] = False,
    only_pareto: Annotated[
        bool, typer.Option("--pareto", help="Only trials that no other beats in both quality and speed.")
    ] = False,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only trials with: 'family=lstm and bits>=12'.")
    ] = None,
    compare: Annotated[
        tuple[int, int] | None, typer.Option(metavar="ID ID", help="Two trials side by side.")
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            metavar="ENGINE",
            help="Whose speed is told: stream (ours), onnx, or nam (predicted where NAM Core is missing).",
        ),
    ] = "stream",
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until the search ends.")] = False,
    address: Cluster = None,
    storage: Root = None,
) -> None:
    """Show a search's trials, best first, beside the dry signal and the floor that no model can beat.

    Example: `fxsearch board quickstart --where 'family=lstm and hidden<=16'`
    """
    from search.board import (
        board_csv,
        board_json,
        board_table,
        chosen,
        comparison,
        costed,
        pareto,
    )
    from search.references import references
    from search.searches import open_search

    given = {"--json": as_json, "--csv": as_csv, "--pareto": only_pareto}
    options = [option for option, is_given in given.items() if is_given]
    options += [*(["--where", where] if where else []), "--cost", cost]
    options += ["--compare", *map(str, compare)] if compare else []
    asked_there(name, ["board", name, *options], address, storage)
    search = open_search(name, storage)

    def rows() -> "list[TrialRow]":
        found = search.trials()
        found = chosen(found, where) if where else found
        found = costed(search, found, cost)
        return pareto(found, search.spec.objective) if only_pareto else found

    if compare:
        console.print(comparison(search.trials(), *compare))
    elif as_csv:
        print(board_csv(rows()), end="")
    elif as_json:
        print_json(board_json(search, rows(), references(search.store())))
    else:
        marked = references(search.store())
        _show(lambda: board_table(search, rows(), marked), search if watch else None)


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


@app.command("listening")
def listening_command(
    name: Name,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every answer and rating as CSV.")] = False,
    add: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add the results that a report saved, none twice.")
    ] = None,
    storage: Root = None,
) -> None:
    """Show the results of listening tests that are kept with a search.

    Example: `fxsearch listening quickstart --add quickstart-listening.json`
    """
    from search.listening import bring, kept, results_table, to_csv
    from search.searches import open_search

    search = open_search(name, storage)
    if add:
        new = bring(search, add)
        console.print(f"{new} new result{'' if new == 1 else 's'} kept with '{name}'", soft_wrap=True)
        return
    results = kept(search.folder)
    if as_csv:
        print(to_csv(results), end="")
    else:
        console.print(results_table(results))


@app.command("check")
def check_command(name: Name, storage: Root = None) -> None:
    """Prove a search whole: states, reports, checkpoints, and the best model's metrics measured again.

    Example: `fxsearch check quickstart`
    """
    from search.checking import problems
    from search.searches import open_search

    search = open_search(name, storage)
    found = problems(search)
    for problem in found:
        console.print(problem, soft_wrap=True)
    if found:
        raise typer.Exit(EXIT_USER_ERROR)
    console.print(f"'{name}' is whole: {len(search.trials())} trials, {search.state}")


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


def _show(table: Callable[[], RenderableType], while_running: "Search | None") -> None:
    """Print a table, or show it anew every second until a search ends."""
    if while_running is None:
        console.print(table())
        return
    with Live(table(), console=console, auto_refresh=False) as live:
        while while_running.state == "running":
            time.sleep(1.0)
            live.update(table(), refresh=True)
