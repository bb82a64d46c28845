"""The user's own music as dry tracks: a share of each split's tracks are excerpts of it instead of notes.

Split by recording: no file is heard in two splits, and two files with the same content count as one. Which
files are used, and where, follows from the recipe's seed; their hashes become part of the recipe, so that a
store never outlives a change of its music.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import Field

from datasets.manifest import SPLITS, Split
from fxcore.audio import SILENCE_DBFS, Signal, peak_dbfs
from fxcore.errors import AudioError, SpecError
from fxcore.generators.music import EXTENSIONS, check_readable, excerpt
from fxcore.generators.track import Track, fade
from fxcore.spec import Spec

STREAM = 0x6D75  # sets the draw of files apart from those of tracks
MIN_SAMPLES = 4096  # of an excerpt; a shorter recording would become a tone when it is repeated


class MusicFile(Spec):
    """A file in use."""

    name: str  # below the folder
    split: Split
    sha256: str


class TrainingAudio(Spec):
    """Music in a folder and its subfolders: wav, flac, ogg, mp3, and m4a where ffmpeg or faad is installed.

    Args:
        folder: absolute, or relative to where the command runs, like every path in a recipe.
        share: the part of each split's tracks, rounded, that is music.
        files: those in use; chosen, and hashed, where none are given.
    """

    folder: str
    share: float = Field(0.5, gt=0.0, le=1.0)
    files: tuple[MusicFile, ...] = ()

    def count(self, tracks: int) -> int:
        """How many of so many tracks are music."""
        return int(tracks * self.share + 0.5)

    def holds(self, number: int) -> bool:
        """Whether a split's track `number` is music: spread evenly, and the same however many follow."""
        return self.count(number + 1) > self.count(number)

    def chosen(self, seed: int, segments: Mapping[Split, int]) -> "TrainingAudio":
        """With an absolute folder and its files, each given to one split; `segments` to fill in each split.

        Raises `AudioError` where there are fewer recordings than splits, or one cannot be read, `SpecError`
        where the share is too small for a track.
        """
        folder = Path(self.folder).expanduser().absolute()
        if self.files:
            return self.model_copy(update={"folder": str(folder)})
        splits = [split for split in SPLITS if segments[split]]
        if not splits:
            raise SpecError(f"training_audio.share must make a track; {self.share:g} makes none; raise it")
        names = _names(folder)
        order = np.random.default_rng(np.random.SeedSequence([seed, STREAM])).permutation(len(names))
        hashes: dict[str, str] = {}  # of content -> name
        for index in order:
            path = folder / names[index]
            check_readable(path)
            hashes.setdefault(_sha256(path), names[index])
            if len(hashes) == sum(segments.values()):
                break
        if len(hashes) < len(splits):
            raise AudioError(
                f"training_audio needs a recording for each of {', '.join(splits)}: no two may share one; "
                f"{folder} holds {len(hashes)} ({', '.join(EXTENSIONS)}); add some, or cut one in parts"
            )
        given = dict.fromkeys(splits, 0)
        files = []
        for sha256, name in hashes.items():
            # One for each split first, then for the one that has the fewest for what it needs (D'Hondt).
            split = max(splits, key=lambda s: (not given[s], segments[s] / (given[s] + 1)))
            given[split] += 1
            files.append(MusicFile(name=name, split=split, sha256=sha256))
        return self.model_copy(update={"folder": str(folder), "files": tuple(files)})

    def names(self, track: Track, split: Split, number: int) -> list[str]:
        """The files that are heard in a split's music track `number`, one a segment, each in its turn."""
        files = [file.name for file in self.files if file.split == split]
        first = self.count(number) * track.segments
        return [files[(first + segment) % len(files)] for segment in range(track.segments)]

    def render(
        self, track: Track, split: Split, number: int, sample_rate: int, rng: np.random.Generator
    ) -> Signal:
        """A split's music track `number`, (1, T): an excerpt a segment, at the levels of `track`."""
        hashes = {file.name: file.sha256 for file in self.files}
        segments = []
        for name, level_dbfs in zip(self.names(track, split, number), track.draw_levels(rng), strict=True):
            path = Path(self.folder) / name
            samples = track.n_samples(sample_rate) // track.segments
            music = excerpt(path, samples, sample_rate, rng)
            _check_same(path, hashes[name])
            if music.shape[1] < min(samples, MIN_SAMPLES):
                raise AudioError(f"{path} is too short to hear; take it out of the folder")
            gain = 10 ** ((level_dbfs - max(peak_dbfs(music), SILENCE_DBFS)) / 20)
            fade(music[0], sample_rate)
            segments.append(np.resize(music * np.float32(gain), (1, samples)))  # a short one is repeated
        return np.concatenate(segments, axis=1)


def _names(folder: Path) -> list[str]:
    """All audio files below a folder, but for hidden ones."""
    if not folder.is_dir():
        raise AudioError(f"training_audio.folder must be a folder; {folder} is none; correct its path")
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))


def _check_same(path: Path, sha256: str) -> None:
    """Raise `AudioError` where a file has changed since it was chosen."""
    if _sha256(path) != sha256:
        raise AudioError(f"{path} has changed since the recipe chose it; render without the recipe's `files`")


def _sha256(path: Path) -> str:
    """Of a file's content, read once a process."""
    status = path.stat()
    return _sha256_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, _modified_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
