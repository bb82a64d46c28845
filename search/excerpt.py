"""The part of a test split that a report plays and draws: where it lies, its players, places to look at."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from fxcore.audio import Recording, Signal
from fxcore.metrics.level import k_weighted_energy

LONGEST_SECONDS = 8.0
LONGEST_SAMPLES = 400_000  # 8 s at 48 kHz, 4 at 96: eight players of them make a file of some 5 MB
REGION_SECONDS = 0.5  # whose energy tells the loudest place
PLACE_FRAMES = 6  # of 5 ms: what one picture of a waveform shows
AUDIBLE_DB = -50.0  # below the loudest place, under which nothing is worth a picture
HEADROOM = 0.98


class Excerpt(NamedTuple):
    """A stretch of one recording: its index in the split, and samples `start` to `stop`."""

    recording: int
    start: int
    stop: int

    def cut(self, signals: Sequence[Signal]) -> Signal:
        """The stretch (1, T) of one signal for each recording."""
        return signals[self.recording][:, self.start : self.stop]


class Places(NamedTuple):
    """Samples at which a transient, a quiet and a loud place of `length` samples begin."""

    transient: int
    quiet: int
    loud: int
    length: int

    def named(self) -> dict[str, tuple[int, int]]:
        """Samples at which each begins and ends."""
        starts = {"Transient": self.transient, "Quiet": self.quiet, "Loud": self.loud}
        return {name: (start, start + self.length) for name, start in starts.items()}


def find_excerpt(recordings: Sequence[Recording], sample_rate: int) -> Excerpt:
    """Up to 8 s from the loudest half second of all wets on, or from as late as leaves them 8 s."""
    region = max(1, round(REGION_SECONDS * sample_rate))
    energies = [_energies(recording.wet, region) for recording in recordings]
    loudest = max(range(len(recordings)), key=lambda i: float(energies[i].max()))
    total = recordings[loudest].wet.shape[-1]
    length = min(total, LONGEST_SAMPLES, round(LONGEST_SECONDS * sample_rate))
    start = min(int(energies[loudest].argmax()) * region, total - length)
    return Excerpt(loudest, start, start + length)


def find_places(wet: Signal, sample_rate: int) -> Places:
    """Where the wet (1, T) rises most, where it is audible but quiet, and where it is loudest."""
    frame = max(1, sample_rate // 200)  # 5 ms
    length = PLACE_FRAMES * frame
    level = np.sqrt(np.convolve(_energies(wet, frame), np.ones(PLACE_FRAMES), "valid"))
    loud = int(level.argmax())
    audible = np.flatnonzero(level >= level[loud] * 10 ** (AUDIBLE_DB / 20))
    quiet = int(audible[np.argsort(level[audible])[len(audible) // 10]])
    rise = level[PLACE_FRAMES:] - level[:-PLACE_FRAMES]  # of the 30 ms after a frame over those before it
    onset = int(rise.argmax()) + PLACE_FRAMES if len(rise) else 0
    last = max(wet.shape[-1] - length, 0)
    before_onset = max(onset - PLACE_FRAMES // 3, 0)
    transient, quiet, loud = (min(start * frame, last) for start in (before_onset, quiet, loud))
    return Places(transient, quiet, loud, length)


def rms(signal: Signal) -> float:
    """Root mean square, summed in double precision."""
    return float(np.sqrt(np.square(signal, dtype=np.float64).mean()))


def matched(signal: Signal, wet: Signal, sample_rate: int) -> Signal:
    """The signal (1, T) as loud as the wet."""
    return signal * np.float32(matching_gain(signal, wet, sample_rate))


def matching_gain(signal: Signal, wet: Signal, sample_rate: int) -> float:
    """What makes the signal (1, T) as loud as the wet, K-weighted as in ITU-R BS.1770; 1 for silence."""
    own, other = (float(k_weighted_energy(torch.as_tensor(s)[None], sample_rate)) for s in (signal, wet))
    return float(np.sqrt(other / own)) if own > 0 else 1.0


def playing_gain(signals: Sequence[Signal]) -> float:
    """One gain for all, at most 1, that keeps every signal within full scale."""
    peak = max(float(np.abs(signal).max(initial=0.0)) for signal in signals)
    return min(1.0, HEADROOM / peak) if peak > 0 else 1.0


def player_source(signal: Signal, sample_rate: int) -> str:
    """A data URI of the signal (1, T) as 16-bit FLAC."""
    return "data:audio/flac;base64," + base64.b64encode(flac(signal, sample_rate)).decode("ascii")


def flac(signal: Signal, sample_rate: int) -> bytes:
    """The signal (1, T) as a 16-bit FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, signal[0], sample_rate, subtype="PCM_16", format="FLAC")
    return buffer.getvalue()


def _energies(signal: Signal, length: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Energy of each stretch of `length` samples of (1, T); a shorter rest counts as one."""
    starts = np.arange(0, signal.shape[-1], length)
    return np.add.reduceat(np.square(signal[0], dtype=np.float64), starts)
