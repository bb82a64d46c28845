"""Drift and jumps: latency that grows over a recording, as where two devices ran on clocks of their own, or
that changes at once, as where a device lost a buffer.

The latency is measured in short windows. Some land on another peak of the effect's response, so the line
through them is the one that most of them agree on (MSAC; Torr & Zisserman, 2000), then least squares.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

from fxcore.audio import SILENCE_DBFS, Signal
from fxcore.correlation import Array, correlate, faded

Mask = npt.NDArray[np.bool_]

WINDOWS, WINDOW_S = 24, 4.0
MIN_WINDOWS = 10  # which are then shorter
AGREE_S = 0.0001  # from a line: an effect's response to other notes moves its peak by as much
MIN_AGREEING, MIN_SHARE = 4, 0.5
FLAT_SHARE = 0.75  # of the windows that agree on the best line: a flat one with as many is preferred
MAX_PPM = 500.0
MIN_DRIFT_SAMPLES, MIN_DRIFT_ERRORS = 2.0, 5.0  # less, or fewer standard errors, is no drift
MIN_JUMP_S, MIN_JUMP_WINDOWS, MIN_JUMP_SHARE = 0.0003, 3, 0.9
MAX_OTHER_PEAK = 0.2  # of the peak: more, at the other lag, and both are the effect's own


class Latencies(NamedTuple):
    """The latency of a wet in windows that both sound in."""

    centres: Array  # (windows,) in samples
    lags: Array  # (windows,) in samples, sub-sample
    heights: Array  # (windows, 2 reach + 1): whitened correlation at lags -reach .. +reach
    samples: int  # of the whole pair
    sample_rate: int


class Drift(NamedTuple):
    """How the latency moves from the start of a pair to its end."""

    samples: float  # positive: the wet falls behind
    ppm: float  # of the wet's clock against the dry's
    certain: bool


class Jump(NamedTuple):
    """A step of the latency somewhere between two times."""

    samples: int  # positive: the wet falls behind
    from_s: float
    to_s: float


def track_latency(dry: Signal, wet: Signal, sample_rate: int, reach_s: float = 0.03) -> Latencies:
    """Latency of the wet (1, T) in windows spread evenly; ±`reach_s` at the start, and what may drift."""
    samples = min(dry.shape[-1], wet.shape[-1])
    size = int(min(WINDOW_S * sample_rate, samples / MIN_WINDOWS))
    reach = min(round(reach_s * sample_rate + 1e-6 * MAX_PPM * samples), size // 2)
    audible = 10 * 10 ** (SILENCE_DBFS / 20)
    centres, lags, heights = [], [], []
    for start in np.linspace(0, samples - size, min(WINDOWS, samples // size)).astype(int):
        heard, played = (faded(side[:, start : start + size], sample_rate) for side in (dry, wet))
        if min(np.abs(heard).max(), np.abs(played).max()) > audible:
            pair = correlate(heard, played, reach)
            peak, _ = pair.strongest()
            centres.append(start + size / 2)
            lags.append(pair.refined(peak))
            heights.append(np.abs(pair.whitened))
    stacked = np.array(heights).reshape(len(lags), 2 * reach + 1)
    return Latencies(np.array(centres), np.array(lags), stacked, samples, sample_rate)


def drift_of(track: Latencies) -> Drift | None:
    """Drift over the whole pair; None where most windows agree on no line, as after a pitch shift."""
    agree = _agreement(track)
    centres, lags = track.centres[agree], track.lags[agree]
    if len(lags) < max(MIN_AGREEING, MIN_SHARE * len(agree)) or np.ptp(centres) < 0.5 * track.samples:
        return None
    away = centres - centres.mean()
    spread = float(np.sum(away**2))
    slope = float(np.sum(away * lags)) / spread
    residual = lags - lags.mean() - slope * away
    error = float(np.sqrt(np.sum(residual**2) / max(len(lags) - 2, 1) / spread))  # of the slope
    certain = abs(slope) * track.samples > max(MIN_DRIFT_SAMPLES, MIN_DRIFT_ERRORS * error * track.samples)
    return Drift(slope * track.samples, 1e6 * slope, certain)


def jump_of(track: Latencies) -> Jump | None:
    """The step that parts the windows into two latencies, if one does."""
    found = []
    for split in range(MIN_JUMP_WINDOWS, len(track.lags) - MIN_JUMP_WINDOWS + 1):
        before, after = slice(None, split), slice(split, None)
        old, new = (float(np.median(track.lags[side])) for side in (before, after))
        shares = _share_at(track, before, old, other=new), _share_at(track, after, new, other=old)
        if abs(new - old) >= MIN_JUMP_S * track.sample_rate and min(shares) >= MIN_JUMP_SHARE:
            from_s, to_s = track.centres[split - 1 : split + 1] / track.sample_rate
            found.append((sum(shares), Jump(round(new - old), float(from_s), float(to_s))))
    return max(found)[1] if found else None


def without_drift(wet: Signal, drift: Drift) -> Signal:
    """The wet (1, T) as on the dry's clock, to measure with."""
    return np.asarray(soxr.resample(wet[0], 1e6 + drift.ppm, 1e6, quality="HQ")[None], np.float32)


def _share_at(track: Latencies, windows: slice, lag: float, *, other: float) -> float:
    """Share of windows whose peak is at one lag; 0 where they have one at the other, as an echo's, too."""
    near = AGREE_S * track.sample_rate
    heights = track.heights[windows]
    reach = heights.shape[1] // 2
    at_other = np.abs(np.arange(-reach, reach + 1) - other) <= near
    if np.median(heights[:, at_other].max(axis=1) / heights.max(axis=1)) > MAX_OTHER_PEAK:
        return 0.0
    return float(np.mean(np.abs(track.lags[windows] - lag) < near))


def _agreement(track: Latencies) -> Mask:
    """Which lags lie on the line, through one or two of them, that fits most; a flat one is preferred."""
    flat, sloped = [(0.0, np.zeros(len(track.lags), bool))], []
    for i in range(len(track.lags)):
        flat.append(_fit(track, i, 0.0))
        for j in range(i + 1, len(track.lags)):
            slope = (track.lags[j] - track.lags[i]) / (track.centres[j] - track.centres[i])
            if abs(slope) <= 1e-6 * MAX_PPM:
                sloped.append(_fit(track, i, slope))
    best_flat = max(flat, key=lambda fit: fit[0])
    best = max(sloped, key=lambda fit: fit[0], default=best_flat)
    return best_flat[1] if best_flat[0] >= FLAT_SHARE * best[0] else best[1]


def _fit(track: Latencies, through: int, slope: float) -> tuple[float, Mask]:
    """How many lags a line agrees with, near ones counting more, and which."""
    away = track.centres - track.centres[through]
    blur = 0.25 * abs(slope) * min(WINDOW_S * track.sample_rate, track.samples / MIN_WINDOWS)
    misses = (track.lags - track.lags[through] - slope * away) / (AGREE_S * track.sample_rate + blur)
    return float(np.maximum(1 - misses**2, 0.0).sum()), np.abs(misses) < 1
