"""What all commands share: the application, options, exit codes and printing."""

import json
import shutil
from typing import Annotated, Any

import typer
from rich.console import Console

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

HELP = """Find the neural network that sounds like a piece of music gear and is cheap enough to play through.

The way from a recording to a plug-in: **render** or **import** a sample store, **launch** a search, look at
its **board**, listen to its **report**, **export** the best model, or **apply** it to a file.

Searches, stores and models live below one root: `--storage`, else `$FXSEARCH_STORAGE`, else `./runs`. A STORE
is a path below that root, or an absolute or `./relative` one, or `s3://bucket/prefix`.
"""

app = typer.Typer(
    name="fxsearch",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
console = Console(
    markup=False, emoji=False, highlight=False, width=shutil.get_terminal_size((160, 50)).columns
)

Root = Annotated[
    str | None, typer.Option("--storage", metavar="ROOT", help="Root of stores, searches, models.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The search's name.")]


def print_json(values: Any) -> None:
    """For machines."""
    print(json.dumps(values, indent=2))


def or_dash(value: float | None, form: str) -> str:
    """A number formatted; a dash where there is none."""
    return "–" if value is None else format(value, form)
