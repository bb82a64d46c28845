"""Commands that take models out: export, formats, apply."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fxcore.errors import OutputExistsError
from search.cli.common import AsJson, Name, Overwrite, Root, app, console, print_json


@app.command("export")
def export_command(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="A trial's id (default: the best).")] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="F",
            help="all that can hold the best trial, or one that `fxsearch formats` lists: the best it holds.",
        ),
    ] = "all",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: ROOT/models/NAME.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Resample an impulse response (default: as trained).")
    ] = None,
    overwrite: Overwrite = False,
    storage: Root = None,
) -> None:
    """Export a trial's model; each file is read back and compared before it takes its place.

    Example: `fxsearch export quickstart --format nam --out plugins`
    """
    from search.searches import open_search

    paths = open_search(name, storage).export(
        kind, out, trial=trial, sample_rate=sample_rate, overwrite=overwrite
    )
    for path in paths:
        console.print(str(path), soft_wrap=True)
    if kind != "all" and len(paths) > 1:
        first, second = (Path(path).name for path in paths[:2])
        console.print(f"the model ends in a tail; play {first}, then {second}", soft_wrap=True)


@app.command("formats")
def formats_command(as_json: AsJson = False) -> None:
    """Show which families each export format holds, and what plays it.

    Example: `fxsearch formats`
    """
    from fxcore.export import FORMATS
    from fxcore.export.limits import in_words
    from fxcore.models import FAMILIES

    if as_json:
        keys = ("extension", "players", "holds")
        print_json({kind: {key: getattr(format_, key) for key in keys} for kind, format_ in FORMATS.items()})
        return
    for kind, format_ in FORMATS.items():
        console.print(f"{kind:<12} {format_.extension:<15} {format_.players}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("family", *FORMATS):
        table.add_column(column, no_wrap=True)
    notes = []
    for family in FAMILIES:
        cells = []
        for kind, format_ in FORMATS.items():
            limits = in_words(format_.holds.get(family, {}))
            cells.append("–" if family not in format_.holds else "some" if limits else "all")
            notes += [f"{kind}: {family} with {limits}"] if limits else []
        table.add_row(family, *cells)
    console.print()
    console.print(table)
    console.print()
    for note in sorted(notes):
        console.print(note, soft_wrap=True)


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
