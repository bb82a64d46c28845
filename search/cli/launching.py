"""Commands that run searches: launch, resume, extend, pause, stop, status, logs."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from search.cli.common import EXIT_INTERRUPTED, AsJson, Name, Root, app, console, print_json
from search.cli.elsewhere import Cluster, asked_there, status_of, submitted

if TYPE_CHECKING:
    from search.config import SearchSpec
    from search.progress import Progress
    from search.searches import Search


Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="A Ray cluster: HOST:PORT drives it from here, http://HOST:8265 leaves the search to it.",
    ),
]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Go on though a driver elsewhere, silent by now, holds it.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key: budget.trials=8.")
]


@app.command("launch")
def launch_command(
    search: Annotated[Path, typer.Argument(metavar="SEARCH.yaml", help="What to search; see the README.")],
    name: Annotated[str | None, typer.Option(help="Another name than the file's.")] = None,
    address: Address = None,
    settings: Settings = None,
    take_over: TakeOver = False,
    storage: Root = None,
) -> None:
    """Run a search, or resume it where it was stopped; Ctrl-C leaves it to be resumed.

    Example: `fxsearch launch examples/quickstart/search.yaml --set budget.minutes=2`
    """
    from fxcore.yamlfile import load_yaml
    from search.config import SearchSpec
    from search.engine.jobs import SPEC_FILE, forget
    from search.launching import launch
    from search.storage import Storage

    spec = load_yaml(search, SearchSpec, [*(settings or []), *([f"name={json.dumps(name)}"] if name else [])])
    command = ["launch", SPEC_FILE, *(["--take-over"] if take_over else [])]
    if address is None:
        forget(Storage(storage), spec.name)
    elif submitted(spec.name, command, address, storage, spec):
        return
    _run(
        spec,
        lambda progress: launch(
            spec, storage=storage, address=address, take_over=take_over, progress=progress
        ),
    )


@app.command("resume")
def resume_command(
    name: Name,
    address: Address = None,
    settings: Settings = None,
    take_over: TakeOver = False,
    storage: Root = None,
) -> None:
    """Go on with a search that was paused, interrupted or killed: where it was submitted to, else from here.

    Example: `fxsearch resume quickstart`
    """
    from search.launching import resume
    from search.searches import open_search

    overrides = settings or []
    options = [part for override in overrides for part in ("--set", override)]
    command = ["resume", name, *options, *(["--take-over"] if take_over else [])]
    if submitted(name, command, address, storage):
        return
    spec = open_search(name, storage).spec
    _run(
        spec,
        lambda progress: resume(
            name,
            storage=storage,
            address=address,
            overrides=overrides,
            take_over=take_over,
            progress=progress,
        ),
    )


@app.command("extend")
def extend_command(
    name: Name,
    trials: Annotated[int, typer.Option(min=1, help="So many more.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="For so long (default: until they end).")
    ] = None,
    address: Address = None,
    storage: Root = None,
) -> None:
    """Give a search more trials, and run them.

    Example: `fxsearch extend quickstart --trials 24 --minutes 5`
    """
    from search.searches import open_search

    limit = [] if minutes is None else ["--minutes", str(minutes)]
    if submitted(name, ["extend", name, "--trials", str(trials), *limit], address, storage):
        return
    more = open_search(name, storage).spec.budget.trials + trials
    budget = [f"budget.trials={more}", f"budget.minutes={'null' if minutes is None else minutes}"]
    resume_command(name, address=address, settings=budget, storage=storage)


@app.command("pause")
def pause_command(name: Name, address: Cluster = None, storage: Root = None) -> None:
    """Let a running search end after its trials' next reports; `resume` goes on from there.

    Example: `fxsearch pause quickstart`
    """
    from search.searches import open_search

    asked_there(name, ["pause", name], address, storage)
    open_search(name, storage).pause()
    console.print(f"'{name}' pauses after its trials' next reports; go on with: fxsearch resume {name}")


@app.command("stop")
def stop_command(name: Name, address: Cluster = None, storage: Root = None) -> None:
    """End a search as it is: its running trials count as far as they came.

    Example: `fxsearch stop quickstart`
    """
    from search.searches import open_search

    asked_there(name, ["stop", name], address, storage)
    open_search(name, storage).stop()
    console.print(f"'{name}' ends with what it has")


@app.command("status")
def status_command(
    name: Name, as_json: AsJson = False, address: Cluster = None, storage: Root = None
) -> None:
    """Say whether a search runs, who drives it, and how far it is.

    Example: `fxsearch status quickstart`
    """
    status = status_of(name, address, storage)
    if as_json:
        print_json(status)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in status.items():
        table.add_row(key.replace("_", " "), _in_words(value))
    console.print(table)


@app.command("logs")
def logs_command(name: Name, address: Cluster = None, storage: Root = None) -> None:
    """Print what happened in a search, a line for each trial that began or ended.

    Example: `fxsearch logs quickstart`
    """
    from search.searches import open_search

    asked_there(name, ["logs", name], address, storage)
    print(open_search(name, storage).log(), end="")


def _run(spec: "SearchSpec", start: "Callable[[Progress], Search]") -> None:
    """Run a search to its end, or to where it is paused, and show what came of it."""
    from search.board import board_table

    try:
        with _progress(spec) as progress:
            found = start(progress)
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command resumes '{spec.name}'")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if found.state == "interrupted":
        console.print(f"paused; go on with: fxsearch resume {spec.name}")
        return
    console.print(board_table(found, found.trials(), limit=10))
    _print_verdict(found)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{number} {key}" for key, number in value.items()) or "none"
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def _progress(spec: "SearchSpec") -> "Iterator[Progress]":
    from search.progress import Lines, Screen

    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield Screen(spec, live)
    else:
        yield Lines(spec, lambda text: console.print(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}"))


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
