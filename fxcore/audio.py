"""Audio files and signals: read, write, resample, check, and align a wet recording to its dry.

A signal is float32 of shape (C, T), full scale ±1; one channel unless said. Files are read and
written by libsndfile, resampled by soxr. Alignment is by generalised cross-correlation (Knapp &
Carter, 1976) with PHAT-β weighting, which keeps sharp peaks under filters and distortion.
"""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from scipy import fft

from fxcore.errors import AudioError, PairError

Signal = npt.NDArray[np.float32]

SILENCE_DBFS = -80.0
FULL_SCALE = 0.9999


class Alignment(NamedTuple):
    """How a wet recording lies against its dry."""

    latency_samples: int  # positive: the wet comes late
    polarity: int  # -1: the wet is upside down
    correlation: float  # normalised, at that latency, 0..1


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
    subtype = "PCM_24" if extension == "flac" else "FLOAT" if extension == "wav" else None
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        soundfile.write(part, signal.T, sample_rate, subtype=subtype, format=extension.upper())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"{path} could not be written: {error}") from None
    finally:
        Path(part).unlink(missing_ok=True)


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
    """Raise `AudioError` where no sample reaches -80 dBFS."""
    if peak_dbfs(signal) < SILENCE_DBFS:
        raise AudioError(f"{name} is silent (peak below {SILENCE_DBFS:.0f} dBFS); check cables and levels")


def count_clipped(signal: Signal) -> int:
    """Samples in runs of two or more at full scale, which an unclipped recording hardly has."""
    hot = np.abs(signal) >= FULL_SCALE
    return int((hot[..., 1:] & hot[..., :-1]).sum())


def align(dry: Signal, wet: Signal, sample_rate: int, *, max_latency_s: float = 1.0) -> Alignment:
    """Find the wet's latency and polarity against the dry, both (1, T) at one rate.

    The lag is the peak of the whitened cross-correlation (β = 0.8) within ±`max_latency_s`, so that
    a first arrival wins over a strong echo. Raises `PairError` where no lag stands out.
    """
    reach = round(max_latency_s * sample_rate)
    size = fft.next_fast_len(max(dry.shape[-1], wet.shape[-1]) + reach, real=True)
    cross = fft.rfft(wet[0], size) * np.conj(fft.rfft(dry[0], size))
    magnitude = np.abs(cross)
    whitened = cross / np.maximum(magnitude, 1e-9 * magnitude.max(initial=1e-30)) ** 0.8
    correlation = fft.irfft(whitened, size)
    lags = np.concatenate([correlation[-reach:], correlation[: reach + 1]])  # -reach .. +reach
    best = int(np.argmax(np.abs(lags)))
    strength = float(np.abs(lags[best]) / (np.sqrt(np.mean(lags**2)) + 1e-30))
    latency = best - reach
    if strength < MIN_STRENGTH:
        raise PairError(
            f"dry and wet do not belong together: no lag within ±{max_latency_s:g} s correlates "
            f"(peak {strength:.1f} times the mean, {MIN_STRENGTH:g} needed); give a wet made from this dry"
        )
    a, b = overlap(dry, wet, latency)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b)) + 1e-30
    return Alignment(latency, 1 if lags[best] > 0 else -1, min(abs(float(np.vdot(a, b))) / norm, 1.0))


MIN_STRENGTH = 8.0  # noise against noise stays below 6, the hardest real pair (a plate reverb) reaches 30


def overlap(dry: Signal, wet: Signal, latency_samples: int) -> tuple[Signal, Signal]:
    """Shift the wet by its latency and cut both to their common part, (1, T) each."""
    if latency_samples >= 0:
        wet = wet[:, latency_samples:]
    else:
        dry = dry[:, -latency_samples:]
    common = min(dry.shape[-1], wet.shape[-1])
    return dry[:, :common], wet[:, :common]
