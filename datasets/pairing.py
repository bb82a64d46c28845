"""Which dry recording goes with which wet one: two files, or two folders of files with equal names."""

from pathlib import Path
from typing import NamedTuple

from fxcore.errors import PairError, did_you_mean

# What counts as a recording; of these, libsndfile names what it cannot read.
EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".w64", ".au", ".m4a")


class PairPaths(NamedTuple):
    """A dry and a wet recording, and what to call them."""

    name: str
    dry: Path
    wet: Path


def find_pairs(dry: Path | str, wet: Path | str) -> list[PairPaths]:
    """The pair of two files, or all pairs of two folders, sorted by name; `riff.wav` goes with `riff.flac`.

    Subfolders, hidden files and what is no audio are passed over. Raises `PairError` where a recording has
    no partner, or several.
    """
    dry, wet = Path(dry), Path(wet)
    if dry.is_dir() != wet.is_dir():
        folder, other = (dry, wet) if dry.is_dir() else (wet, dry)
        raise PairError(
            f"dry and wet must be two files or two folders; {folder} is a folder, {other} is none"
        )
    if dry.exists() and wet.exists() and dry.samefile(wet):
        raise PairError(f"dry and wet must be different; got {dry} twice")
    if not dry.is_dir():
        return [PairPaths(dry.stem, dry, wet)]
    dries, wets = _recordings(dry), _recordings(wet)
    for mine, others, folder in ((dries, wets, wet), (wets, dries, dry)):
        for name in sorted(mine.keys() - others.keys()):
            alone = others.keys() - mine.keys()
            raise PairError(
                f"every recording needs a partner of the same name; {mine[name]} has none in {folder}"
                f"{did_you_mean(name, alone) if alone else ''}; rename or remove it"
            )
    return [PairPaths(name, dries[name], wets[name]) for name in sorted(dries)]


def _recordings(folder: Path) -> dict[str, Path]:
    """The recordings in a folder by their stem."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise PairError(
                f"recordings must differ in more than their extension; {folder} holds "
                f"{found[path.stem].name} and {path.name}; remove one"
            )
        found[path.stem] = path
    if not found:
        raise PairError(f"a folder must hold recordings (wav, flac, ogg, mp3); {folder} holds none")
    return found
