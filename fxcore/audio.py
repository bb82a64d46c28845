"""Audio files and signals: read, write, resample and check.

A signal is float32 of shape (C, T), full scale ±1; one channel unless said. Files are read and
written by libsndfile, resampled by soxr.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from scipy.io import wavfile

from fxcore.errors import AudioError
from fxcore.files import write_bytes

Signal = npt.NDArray[np.float32]

WRITE_SAMPLES = 65_536

SILENCE_DBFS = -80.0
FULL_SCALE = 0.9999


class Recording(NamedTuple):
    """A dry signal and the wet that one effect made of it, (1, T) each, aligned."""

    name: str
    dry: Signal
    wet: Signal
    start_sample: int = 0  # how long the effect had run by then: where an LFO stands, and whose tail is heard


def read(path: Path | str) -> tuple[Signal, int]:
    """Samples (C, T) and sample rate in Hz; raises `AudioError` for what is not usable audio."""
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path} does not exist; give the path of an audio file (wav, flac, ogg, mp3)")
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        reason = str(error).rsplit(": ", 1)[-1].rstrip(".")
        raise AudioError(f"{path} cannot be read as audio ({reason}); give a wav, flac, ogg or mp3") from None
    signal = np.ascontiguousarray(samples.T)
    check_finite(signal, str(path), sample_rate)
    return signal, int(sample_rate)


def read_mono(path: Path | str) -> tuple[Signal, int]:
    """As `read`, averaged to one channel (1, T)."""
    signal, sample_rate = read(path)
    return signal.mean(axis=0, keepdims=True, dtype=np.float32), sample_rate


def write(path: Path | str, signal: Signal, sample_rate: int) -> None:
    """Write (C, T) whole or not at all: wav and others as 32-bit float, flac as 24 bit.

    Raises `AudioError` where the extension is unknown, or where flac would clip.
    """
    path = Path(path)
    extension = path.suffix.lower().removeprefix(".")
    if extension.upper() not in soundfile.available_formats():
        raise AudioError(f"an audio file must end in .wav or .flac; got {path.name!r}")
    if extension == "flac" and np.abs(signal).max(initial=0.0) > 1.0:
        raise AudioError(f"{path.name}: flac cannot hold peaks above full scale; write a .wav instead")
    encoded = io.BytesIO()  # libsndfile does not say that a disk is full
    try:
        if extension == "wav":
            wavfile.write(encoded, sample_rate, signal.T)  # libsndfile would write the time of day into it
        else:
            _encode(encoded, signal, sample_rate, extension.upper())
    except (soundfile.LibsndfileError, ValueError) as error:
        raise AudioError(f"{path} could not be written: {error}") from None
    write_bytes(path, encoded.getvalue())


def _encode(file: io.BytesIO, signal: Signal, sample_rate: int, kind: str) -> None:
    subtype = "PCM_24" if kind == "FLAC" else None
    with soundfile.SoundFile(file, "w", sample_rate, len(signal), subtype=subtype, format=kind) as encoder:
        for start in range(0, signal.shape[-1], WRITE_SAMPLES):  # libsndfile's Vorbis dies of long ones
            encoder.write(signal[:, start : start + WRITE_SAMPLES].T)


def resample(signal: Signal, from_hz: int, to_hz: int) -> Signal:
    """Band-limited resampling of (C, T) along time, soxr's very high quality."""
    if from_hz == to_hz:
        return signal
    return np.ascontiguousarray(soxr.resample(signal.T, from_hz, to_hz, quality="VHQ").T, dtype=np.float32)


def peak_dbfs(signal: Signal) -> float:
    """Highest absolute sample in dB below full scale; -inf for digital silence."""
    peak = float(np.abs(signal).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else -float("inf")


def check_finite(signal: Signal, name: str, sample_rate: int) -> None:
    """Raise `AudioError` for an empty signal, or NaN or infinite samples."""
    if signal.shape[-1] == 0:
        raise AudioError(f"{name} holds no samples; record it again")
    bad = ~np.isfinite(signal)
    if bad.any():
        first = int(np.argmax(bad.any(axis=0)))
        raise AudioError(
            f"{name} has {int(bad.sum())} NaN or infinite samples, the first at {first / sample_rate:.3f} s; "
            "export it again from the program that wrote it"
        )


def check_not_silent(signal: Signal, name: str) -> None:
    """Raise `AudioError` where no sample lies -80 dBFS off the mean: an offset alone makes no sound."""
    if peak_dbfs(signal - signal.mean(axis=-1, keepdims=True)) < SILENCE_DBFS:
        raise AudioError(f"{name} is silent (peak below {SILENCE_DBFS:.0f} dBFS); check cables and levels")


def count_clipped(signal: Signal) -> int:
    """Samples in runs of two or more at full scale, which an unclipped recording hardly has."""
    hot = np.abs(signal) >= FULL_SCALE
    return int((hot[..., 1:] & hot[..., :-1]).sum())
