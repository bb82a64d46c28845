"""Commands that take models out: export, apply."""

from pathlib import Path
from typing import Annotated

import typer

from fxcore.errors import OutputExistsError
from search.cli.common import Name, Overwrite, Root, app, console


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
