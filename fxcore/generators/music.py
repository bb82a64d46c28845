"""Dry signals out of recorded music: excerpts at random places."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import soundfile

from fxcore.audio import SILENCE_DBFS, Signal, check_finite, peak_dbfs, resample
from fxcore.errors import AudioError
from fxcore.m4a import decoded

EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3", ".m4a")
SOFT_DBFS = -40.0  # a place softer than this is drawn again: noise should not be made loud
DRAWS = 8


def excerpt(path: Path, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A random stretch of a recording, mono and resampled: (1, n_samples), or less where it is shorter.

    Of eight places, the first where something sounds, else the loudest. Only the stretch itself is decoded.
    Raises `AudioError` where the file cannot be read there, or is silent.
    """
    with _opened(path) as file:
        wanted = -(-n_samples * file.samplerate // sample_rate)
        loudest = np.zeros((1, 0), np.float32)
        for _ in range(DRAWS):
            start = int(rng.integers(max(file.frames - wanted, 0) + 1))
            file.seek(start)
            samples: Signal = file.read(wanted, dtype="float32", always_2d=True)  # (T, C)
            mono = samples.mean(axis=1, dtype=np.float32)[None]  # (1, T)
            check_finite(mono, f"{path} from {start / file.samplerate:.1f} s on", file.samplerate)
            if peak_dbfs(mono) > peak_dbfs(loudest):
                loudest = mono
            if peak_dbfs(loudest) >= SOFT_DBFS:
                break
        if peak_dbfs(loudest) < SILENCE_DBFS:
            raise AudioError(f"{path} is silent in {DRAWS} places of {DRAWS}; take it out of the folder")
        return resample(loudest, file.samplerate, sample_rate)[:, :n_samples]


def check_readable(path: Path) -> None:
    """Raise `AudioError` where a file's beginning is no audio, or where nothing can decode it."""
    with _opened(path) as file:
        if file.frames == 0:
            raise AudioError(f"{path} holds no samples; take it out of the folder")


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """A file open for reading; what cannot be read becomes an `AudioError`."""
    if not path.is_file():
        raise AudioError(f"{path} does not exist; every machine that renders needs the folder in one place")
    try:
        with (
            decoded(path) if path.suffix.lower() == ".m4a" else nullcontext(path) as source,
            soundfile.SoundFile(source) as file,
        ):
            yield file
    except (soundfile.LibsndfileError, OSError) as error:
        reason = str(error).rsplit(": ", 1)[-1].rstrip(".")
        raise AudioError(
            f"{path} cannot be read as audio ({reason}); repair it, or take it out of the folder"
        ) from None
