"""The command line: every command parses its arguments, makes one library call, and prints."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from fxcore.errors import FxError, OutputExistsError
from fxcore.files import reason

if TYPE_CHECKING:  # commands import what they need, so that help and mistakes answer at once
    from datasets.inspect import StoreReport
    from datasets.recordings import ImportReport
    from search.config import SearchSpec
    from search.progress import Progress
    from search.searches import Search

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
    Path | None, typer.Option("--storage", metavar="ROOT", help="Root of stores, searches, models.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The search's name.")]


@app.command("generate")
def generate_command(
    tracks: Annotated[int, typer.Argument(min=1, metavar="TRACKS", help="How many tracks.")],
    segments: Annotated[int, typer.Argument(min=1, metavar="SEGMENTS", help="10-second segments a track.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the wav files.")],
    sample_rate: Annotated[int, typer.Option(min=8000, help="In Hz.")] = 44_100,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other notes.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make dry tracks of random notes, to play through gear and record.

    Example: `fxsearch generate 4 3 --out dry` writes four tracks of 30 seconds.
    """
    import numpy as np

    from fxcore import audio
    from fxcore.generators.track import Track

    paths = [out / f"track-{i:03d}.wav" for i in range(tracks)]
    for path in paths:
        if path.exists() and not overwrite:
            raise OutputExistsError(path)
    for i, path in enumerate(paths):
        rng = np.random.default_rng(np.random.SeedSequence([seed, i]))
        audio.write(path, Track(segments=segments).render(sample_rate, rng), sample_rate)
    console.print(f"{tracks} tracks in {out}", soft_wrap=True)


@app.command("render")
def render_command(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE.yaml", help="Track, training audio, effect, splits, seed.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="STORE", help="The store to write.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result is the same.")] = 1,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Render on a Ray cluster instead; the result is the same."),
    ] = None,
    overwrite: Overwrite = False,
    storage: Root = None,
) -> None:
    """Render dry tracks and their wets through an effect into a sample store.

    Stopped, or killed, it goes on where it was when the same command is given again. Paths in the recipe are
    absolute, or relative to the current folder; on a cluster, every machine needs them in the same place.

    Example: `fxsearch render examples/recipes/fuzz.yaml --out stores/fuzz`
    """
    from datasets.inspect import inspect_store
    from datasets.recipe import Recipe
    from datasets.render import render
    from fxcore.yamlfile import load_yaml
    from search.storage import Storage

    place = Storage(storage).store(out)
    maker = None
    if address is not None:
        from search.engine.ray_render import on_cluster  # importing Ray takes seconds

        maker = on_cluster(address)
    try:
        store = render(load_yaml(recipe, Recipe), place, overwrite=overwrite, workers=workers, maker=maker)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on where it stopped")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    _print_store(place, inspect_store(store))


@app.command("import")
def import_command(
    dry: Annotated[
        Path, typer.Argument(metavar="DRY", help="The clean recording (wav, flac, ogg, mp3), or a folder.")
    ],
    wet: Annotated[
        Path, typer.Argument(metavar="WET", help="The same through the gear; in a folder, by the same names.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="STORE", help="The store to write.")],
    test: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--test", metavar="DRY WET", help="A pair, or folders, for the test split alone."),
    ] = None,
    sample_rate: Annotated[int | None, typer.Option(help="Resample to this, in Hz (default: DRY's).")] = None,
    latency_samples: Annotated[int | None, typer.Option(help="Override the latency that is found.")] = None,
    overwrite: Overwrite = False,
    storage: Root = None,
    as_json: AsJson = False,
) -> None:
    """Take in recorded pairs: check, resample, align and split them into a sample store.

    Three pairs and more are split by recording, fewer by time. What looks wrong (clipping, an offset,
    dropouts, drift, noise) is told, and the pair taken all the same.

    Example: `fxsearch import di.wav amp.wav --test di2.wav amp2.wav --out stores/amp`
    """
    from datasets.recordings import import_recordings
    from search.storage import Storage

    place = Storage(storage).store(out)
    report = import_recordings(
        dry,
        wet,
        place,
        test=test,
        sample_rate=sample_rate,
        latency_samples=latency_samples,
        overwrite=overwrite,
    )
    if as_json:
        _print_json(report.as_dict())
    else:
        _print_import(place, report)


@app.command("inspect")
def inspect_command(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store's path or s3:// address.")],
    verify: Annotated[bool, typer.Option("--verify", help="Check every shard against its hash.")] = False,
    storage: Root = None,
    as_json: AsJson = False,
) -> None:
    """Say what is in a sample store, and with --verify whether it is whole.

    Example: `fxsearch inspect stores/amp --verify`
    """
    from datasets.inspect import inspect_store
    from datasets.store import SampleStore
    from search.storage import Storage

    place = Storage(storage).store(store)
    report = inspect_store(SampleStore.open(place), verify=verify)
    if as_json:
        _print_json(report.as_dict())
    else:
        _print_store(place, report)
    if report.problems:
        raise typer.Exit(EXIT_USER_ERROR)


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
        _print_json(board_json(search, rows()))
    elif watch:
        _watch(search, lambda: board_table(search, rows()))
    else:
        console.print(board_table(search, rows()))


@app.command("export")
def export_command(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="A trial's id (default: the best).")] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="F",
            help="all that can hold the best trial, or nam or safetensors: the best that it holds.",
        ),
    ] = "all",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: ROOT/models/NAME.")
    ] = None,
    overwrite: Overwrite = False,
    storage: Root = None,
) -> None:
    """Export a trial's model; the file is read back and compared before it takes its place.

    Example: `fxsearch export quickstart --format nam --out plugins`
    """
    from search.searches import open_search

    for path in open_search(name, storage).export(kind, out, trial=trial, overwrite=overwrite):
        console.print(str(path), soft_wrap=True)


@app.command("apply")
def apply_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="An exported model or a trial's checkpoint.")
    ],
    source: Annotated[Path, typer.Argument(metavar="IN", help="The dry audio file.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write: .wav (32-bit float), .flac.")
    ],
    overwrite: Overwrite = False,
) -> None:
    """Play an audio file through a model, channel by channel, at the model's sample rate.

    Example: `fxsearch apply runs/models/quickstart/quickstart.safetensors riff.wav amped.wav`
    """
    import torch

    from fxcore import audio
    from fxcore.export import load

    playable = load(model)
    dry, sample_rate = audio.read(source)
    if target.exists() and not overwrite:
        raise OutputExistsError(target)
    if sample_rate != playable.sample_rate:
        console.print(f"resampled from {sample_rate} to the model's {playable.sample_rate} Hz")
    dry = audio.resample(dry, sample_rate, playable.sample_rate)
    wet = playable.model.predict(torch.from_numpy(dry)[:, None])[:, 0].numpy()
    audio.write(target, wet, playable.sample_rate)
    console.print(f"{target}: {wet.shape[-1] / playable.sample_rate:.1f} s", soft_wrap=True)


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
        _print_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in facts.items():
        table.add_row(key.replace("_", " "), "–" if value is None else str(value))
    console.print(table)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # short blocks: more threads on a busy machine cost 20-fold
    try:
        app()
    except FxError as error:
        print(f"fxsearch: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:  # of a place that cannot be read or written to
        print(f"fxsearch: {error.filename or 'a file'}: {reason(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


@contextmanager
def _progress(spec: "SearchSpec") -> "Iterator[Progress]":
    from search.progress import Lines, Screen

    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield Screen(spec, live)
    else:
        yield Lines(spec, console)


def _watch(search: "Search", table: Callable[[], RenderableType]) -> None:
    with Live(table(), console=console, auto_refresh=False) as live:
        while search.state == "running":
            time.sleep(1.0)
            live.update(table(), refresh=True)


def _print_json(values: Any) -> None:
    print(json.dumps(values, indent=2))


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


def _print_import(place: str, report: "ImportReport") -> None:
    seconds = ", ".join(f"{split} {value:.1f} s" for split, value in report.seconds.items())
    console.print(f"{place}: {seconds}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    columns = ("pair", "latency", "best match", "drift ppm", "inverted", "correlation", "gain dB", "noise dB")
    for name in columns:
        table.add_column(name, justify="left" if name == "pair" else "right")
    for pair in report.pairs:
        table.add_row(
            pair.name,
            str(pair.latency_samples),
            _or_dash(pair.fine_latency_samples, ".2f"),
            _or_dash(pair.drift_ppm, ".1f"),
            "yes" if pair.polarity < 0 else "no",
            f"{pair.correlation:.2f}",
            f"{pair.gain_db:+.1f}",
            _or_dash(pair.noise_floor_db, ".0f"),
        )
    console.print(table)
    console.print(_floors(report), soft_wrap=True)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def _floors(report: "ImportReport | StoreReport") -> str:
    return (
        f"ESR that no linear model gets below {_or_dash(report.linearity_esr, '.2g')}, "
        f"that no model gets below {_or_dash(report.repeatability_esr, '.2g')}"
    )


def _print_store(place: str, report: "StoreReport") -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("split", "seconds", "recordings", "dry peak dBFS", "dry rms", "wet peak dBFS", "wet rms"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for split, part in report.splits.items():
        levels = (part.dry.peak_dbfs, part.dry.rms_dbfs, part.wet.peak_dbfs, part.wet.rms_dbfs)
        table.add_row(
            split, f"{part.seconds:.1f}", str(part.recordings), *(_or_dash(v, ".1f") for v in levels)
        )
    console.print(f"{place}: {report.source}, {report.sample_rate} Hz", soft_wrap=True)
    console.print(table)
    console.print(f"{_floors(report)}; digest {report.store_digest}", soft_wrap=True)
    for problem in report.problems:
        console.print(problem, style="red", soft_wrap=True)
    if report.verified and not report.problems:
        console.print(f"{report.shards} shards verified")


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    main()
