"""Commands that run searches."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live

from search.cli.common import EXIT_INTERRUPTED, Root, app, console

if TYPE_CHECKING:
    from search.config import SearchSpec
    from search.progress import Progress
    from search.searches import Search


@app.command("launch")
def launch_command(
    search: Annotated[Path, typer.Argument(metavar="SEARCH.yaml", help="What to search; see the README.")],
    name: Annotated[str | None, typer.Option(help="Another name than the file's.")] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster, HOST:PORT (default: this machine).")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key: budget.trials=8.")
    ] = None,
    storage: Root = None,
) -> None:
    """Run a search, or resume it where it was stopped; Ctrl-C leaves it to be resumed.

    Example: `fxsearch launch examples/quickstart/search.yaml --set budget.minutes=2`
    """
    from fxcore.yamlfile import load_yaml
    from search.board import board_table
    from search.config import SearchSpec
    from search.searches import launch

    spec = load_yaml(search, SearchSpec, [*(settings or []), *([f"name={json.dumps(name)}"] if name else [])])
    try:
        with _progress(spec) as progress:
            found = launch(spec, storage=storage, address=address, progress=progress)
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command resumes '{spec.name}'")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    rows = found.trials()
    console.print(board_table(found, rows, limit=10))
    _print_verdict(found)


@contextmanager
def _progress(spec: "SearchSpec") -> "Iterator[Progress]":
    from search.progress import Lines, Screen

    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield Screen(spec, live)
    else:
        yield Lines(spec, console)


def _print_verdict(search: "Search") -> None:
    """The thesis' criterion on the test split, and what to do next."""
    best = search.best()
    test = search.test_metrics(best.id)
    share = test["log_mel_share"]
    nearer = f" ({1 / max(share, 1e-6):.0f} times nearer)" if share < 0.5 else ""
    console.print(
        f"\ntrial {best.id} on the test split: log-mel distance to the wet {test['log_mel']:.2f} dB, "
        f"{share:.3f} of the dry's{nearer}; ESR {test['esr']:.2g}, "
        f"MR-STFT {test['mr_stft']:.3f}\nnext: fxsearch export {search.name} --out DIR · "
        f"fxsearch report {search.name} --out FILE.html",
        soft_wrap=True,
    )
