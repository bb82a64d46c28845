"""Dropouts: where a recording device lost samples and wrote silence, or held the last one, in mid-sound.

Effects hold samples too, and these are no dropouts: a clipped waveform holds its extremes, a noise gate lets
the sound fade first, a dead zone is entered and left without a jump, a bit crusher holds all the time.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fxcore.audio import SILENCE_DBFS, Signal

Samples = npt.NDArray[np.float32]  # (T,)

MIN_S, MAX_S = 0.0005, 1.0  # longer ones are pauses
AROUND_S = 0.02  # on both sides, to judge what was going on
SOUNDING = 0.01  # of the recording's rms, -40 dB
JUMP = 0.001  # -60 dBFS, ten times what counts as silence at most
LONG_S, DRIVEN_FACTOR = 0.002, 1.5
HOLD_FACTOR = 8  # times longer than the effect's own holds


class Dropout(NamedTuple):
    """A hole in a wet recording."""

    start_s: float
    seconds: float


def find_dropouts(dry: Signal, wet: Signal, sample_rate: int) -> list[Dropout]:
    """Holes in the wet (1, T) where it and the dry (1, T), aligned to some milliseconds, sound.

    Give the wet as it was recorded: resampling blurs what is sought.
    """
    wet_level, dry_level = SOUNDING * _rms(wet), SOUNDING * _rms(dry)
    silence = min(10 ** (SILENCE_DBFS / 20), 0.1 * wet_level)
    samples = np.where(np.abs(wet[0]) < silence, np.float32(0), wet[0])
    edges = np.concatenate([[0], np.flatnonzero(np.diff(samples)) + 1, [len(samples)]])
    lengths = np.diff(edges)  # of runs of equal samples
    shortest = max(
        MIN_S * sample_rate, HOLD_FACTOR * _usual(lengths[np.abs(samples[edges[:-1]]) > wet_level])
    )
    around = round(AROUND_S * sample_rate)
    found, smooth = [], 0
    for run in np.flatnonzero((lengths > shortest) & (lengths <= MAX_S * sample_rate)):
        start, stop = int(edges[run]), int(edges[run + 1])
        before, after = samples[max(start - around, 0) : start], samples[stop : stop + around]
        if min(_rms(before), _rms(after)) <= wet_level or _rms(dry[:, start:stop]) <= dry_level:
            continue
        value = float(samples[start])
        if _is_extreme(value, before, after):
            continue
        near = slice(max(start - around, 0), stop + around)
        long = stop - start > LONG_S * sample_rate
        if _jumps(value, before, after) or (
            long and _is_driven(dry[0, start:stop], dry[0, near], samples[near])
        ):
            found.append(Dropout(start / sample_rate, (stop - start) / sample_rate))
        else:
            smooth += 1
    return found if len(found) > smooth else []  # a dead zone makes a jump now and then


def _usual(lengths: npt.NDArray[np.int64]) -> float:
    """The length of a run of equal samples that half of all samples lie in, or in a shorter one."""
    held = np.cumsum(np.bincount(lengths) * np.arange(lengths.max(initial=0) + 1))  # by runs up to a length
    return float(np.searchsorted(held, 0.5 * held[-1])) if lengths.size else 0.0


def _is_extreme(value: float, before: Samples, after: Samples) -> bool:
    """Whether a held value lies at the top or bottom of what is around it, as clipped samples do."""
    low = float(min(before.min(), after.min()))
    high = float(max(before.max(), after.max()))
    margin = 0.02 * (high - low)
    return value <= low + margin or value >= high - margin


def _jumps(value: float, before: Samples, after: Samples) -> bool:
    """Whether the waveform breaks off at an end of the run, or comes back there, as no waveform moves."""
    edge = max(abs(float(before[-1]) - value), abs(float(after[0]) - value))
    steps = np.abs(np.concatenate([np.diff(before), np.diff(after)]))
    usual = float(np.median(steps[steps > 0])) if steps.any() else 0.0
    return edge > max(JUMP, 3 * usual, 0.1 * min(_rms(before), _rms(after)))


def _is_driven(heard: Samples, heard_near: Samples, near: Samples) -> bool:
    """Whether the dry is louder in a run than where the wet moves around it; it is not under a dead zone."""
    moving = np.diff(near, prepend=near[0]) != 0
    usual = float(np.median(np.abs(heard_near[moving]))) if moving.any() else np.inf
    return float(np.abs(heard).max()) > DRIVEN_FACTOR * usual


def _rms(samples: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(samples), dtype=np.float64))) if samples.size else 0.0
