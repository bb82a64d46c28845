"""Commands that make and look at data: generate, render, import, inspect."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fxcore.errors import OutputExistsError
from search.cli.common import (
    EXIT_INTERRUPTED,
    EXIT_USER_ERROR,
    AsJson,
    Overwrite,
    Root,
    app,
    console,
    or_dash,
    print_json,
)

if TYPE_CHECKING:
    from datasets.inspect import StoreReport
    from datasets.recordings import ImportReport


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
        print_json(report.as_dict())
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
        print_json(report.as_dict())
    else:
        _print_store(place, report)
    if report.problems:
        raise typer.Exit(EXIT_USER_ERROR)


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
            or_dash(pair.fine_latency_samples, ".2f"),
            or_dash(pair.drift_ppm, ".1f"),
            "yes" if pair.polarity < 0 else "no",
            f"{pair.correlation:.2f}",
            f"{pair.gain_db:+.1f}",
            or_dash(pair.noise_floor_db, ".0f"),
        )
    console.print(table)
    console.print(_floors(report), soft_wrap=True)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def _floors(report: "ImportReport | StoreReport") -> str:
    return (
        f"ESR that no linear model gets below {or_dash(report.linearity_esr, '.2g')}, "
        f"that no model gets below {or_dash(report.repeatability_esr, '.2g')}"
    )


def _print_store(place: str, report: "StoreReport") -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("split", "seconds", "recordings", "dry peak dBFS", "dry rms", "wet peak dBFS", "wet rms"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for split, part in report.splits.items():
        levels = (part.dry.peak_dbfs, part.dry.rms_dbfs, part.wet.peak_dbfs, part.wet.rms_dbfs)
        table.add_row(
            split, f"{part.seconds:.1f}", str(part.recordings), *(or_dash(v, ".1f") for v in levels)
        )
    console.print(f"{place}: {report.source}, {report.sample_rate} Hz", soft_wrap=True)
    console.print(table)
    console.print(f"{_floors(report)}; digest {report.store_digest}", soft_wrap=True)
    for problem in report.problems:
        console.print(problem, style="red", soft_wrap=True)
    if report.verified and not report.problems:
        console.print(f"{report.shards} shards verified")
