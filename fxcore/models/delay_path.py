"""Finds the path of a swinging delay in a pair: how the delay of the wet goes up and down over time.

Short frames of the pair below 1.5 kHz tell how well each delay explains the wet. One frame alone may be
wrong; so the frames are folded over a period (as a Hough transform sums along paths, here of any shape),
for a fine grid of rates. Where the period is right, every phase agrees on a delay.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import signal

Array = npt.NDArray[np.float64]
Evidence = npt.NDArray[np.float32]

BAND_HZ = (60.0, 1500.0)
KEPT_HZ = 5400.0  # sample rate of the band
FRAME_S = 0.006
RATES_HZ = (0.05, 12.0)
BINS = 32  # phases of a period
STEEPEST = 1e-3  # side of a triangle, in cycles
REACHES = (0.012, 0.1)  # of the longest delay, that a path may go from phase to phase: steady, then free


class DelayPath(NamedTuple):
    """A periodic delay: harmonics, and a triangle, whose corners they would need many for."""

    rate: float  # cycles per sample
    swing: Array  # (1 + 2 H,), in samples: mean, then cosine and sine of each harmonic
    triangle: Array = np.zeros(
        3
    )  # half its height in samples; phases in cycles of its low and its high corner

    def look(self, times: Array) -> tuple[Array, Array]:
        """The delay (T,) at times in samples since the effect was started, and what moves it.

        That is its derivative over each number of swing, triangle and rate, (1 + 2 H + 4, T).
        """
        turns = 2 * np.pi * np.arange(1, len(self.swing) // 2 + 1)
        slope = np.zeros_like(self.swing)  # of the harmonics, per cycle
        slope[1::2], slope[2::2] = turns * self.swing[2::2], -turns * self.swing[1::2]
        waves = harmonics(self.rate * times, len(turns))
        height, low, high = self.triangle
        shape, by_low, by_high = triangle(self.rate * times, low, high)
        by_rate = times * (slope @ waves - height * (by_low + by_high))  # later corners: an earlier phase
        effects = np.concatenate([waves, np.stack([shape, height * by_low, height * by_high, by_rate])])
        return self.swing @ waves + height * shape, effects

    def with_harmonics(self, count: int) -> "DelayPath":
        """Cut, or filled up with zeros."""
        swing = np.zeros(1 + 2 * count)
        kept = min(len(swing), len(self.swing))
        swing[:kept] = self.swing[:kept]
        return self._replace(swing=swing)

    def slowed(self, step: float) -> "DelayPath":
        """In samples `step` times as long."""
        height, low, high = self.triangle
        return DelayPath(self.rate * step, self.swing / step, np.array([height / step, low, high]))

    def as_triangle(self) -> "DelayPath":
        """With a triangle in place of all harmonics, of equal fundamental."""
        cosine, sine = self.swing[1:3]
        high = float(np.arctan2(sine, cosine) / (2 * np.pi))
        height = np.pi**2 / 8 * float(np.hypot(cosine, sine))
        return DelayPath(self.rate, self.swing[:1], np.array([height, high + 0.5, high]))


def harmonics(phase: Array, count: int) -> Array:
    """1, cos, sin, cos 2, sin 2 .. of a phase (T,) in cycles: (1 + 2 `count`, T)."""
    turned = np.exp(2j * np.pi * np.mod(phase, 1.0))
    waves = np.ones((1 + 2 * count, len(phase)))
    power = np.ones_like(turned)
    for k in range(1, count + 1):
        power = power * turned
        waves[2 * k - 1], waves[2 * k] = power.real, power.imag
    return waves


def triangle(phase: Array, low: float, high: float) -> tuple[Array, Array, Array]:
    """From -1 at phase `low` up to 1 at `high` and back, (T,); its derivatives over both, in cycles."""
    rise = min(max((high - low) % 1.0, STEEPEST), 1 - STEEPEST)
    since = np.mod(phase - low, 1.0)
    rising = since < rise
    up, down = 2 * since / rise, 2 * (since - rise) / (1 - rise)
    by_high = np.where(rising, -up / rise, (2 - down) / (1 - rise))
    by_low = np.where(rising, (up - 2) / rise, down / (1 - rise))
    return np.where(rising, up - 1, 1 - down), by_low, by_high


def banded(line: Array, sample_rate: int) -> tuple[Array, int]:
    """A signal (T,) below 1.5 kHz, and of how many samples one was kept."""
    step = max(1, int(sample_rate / KEPT_HZ))
    sections = signal.butter(4, BAND_HZ, "bandpass", fs=sample_rate, output="sos")
    return signal.sosfiltfilt(sections, line)[::step], step


def find_paths(
    dry: Array, wet: Array, start_sample: int, sample_rate: int, max_delay_samples: int, count: int
) -> list[DelayPath]:
    """Paths of two harmonics at the `count` likeliest rates, best first, then a delay that does not move.

    The stretch of a pair, (T,) each, should hold a few periods; twenty seconds serve all usual rates.
    """
    evidence, step, frame = lag_evidence(dry, wet, sample_rate, max_delay_samples)
    times = start_sample + frame * np.arange(0.5, len(evidence), dtype=np.float64)  # the frames' middles
    span = len(dry) / sample_rate
    lowest = max(RATES_HZ[0], 0.75 / span)
    rates = np.arange(lowest, RATES_HZ[1], 0.25 / span, dtype=np.float64) / sample_rate
    scores = np.array([folded(evidence, times, float(rate)).max(axis=1).sum() for rate in rates])
    peaks = signal.argrelmax(np.pad(scores, 1, constant_values=-np.inf))[0] - 1
    paths = []
    for peak in sorted(peaks, key=lambda index: -scores[index])[:count]:
        fold = folded(evidence, times, float(rates[peak]))
        paths += [DelayPath(float(rates[peak]), step * _smoothest(fold, share)) for share in REACHES]
    still = DelayPath(1.0 / sample_rate, np.eye(1, 5)[0] * step * float(evidence.sum(axis=0).argmax()))
    return [*paths, still]


def lag_evidence(
    dry: Array, wet: Array, sample_rate: int, max_delay_samples: int
) -> tuple[Evidence, int, int]:
    """How well the dry and one delayed copy explain each frame of the wet: log likelihoods (frames, lags).

    Also gives the samples from lag to lag and from frame to frame. The gains of both are free in each
    frame (least squares in closed form); a frame's mean over the lags is taken out.
    """
    (direct, step), (target, _) = banded(dry, sample_rate), banded(wet, sample_rate)
    frame = max(8, round(FRAME_S * sample_rate / step))
    frames, lags = len(direct) // frame, max_delay_samples // step + 1
    direct, target = direct[: frames * frame], target[: frames * frame]

    def dot(one: Array, other: Array) -> Array:
        return np.asarray(np.einsum("ft,ft->f", one.reshape(frames, frame), other.reshape(frames, frame)))

    energy, own, with_direct = dot(target, target), dot(direct, direct), dot(target, direct)
    floor, ridge = 1e-4 * energy.mean() + 1e-30, 1e-6 * own.mean() + 1e-30
    own += ridge
    evidence = np.zeros((frames, lags), np.float32)
    padded = np.pad(direct, (lags, 0))
    for lag in range(lags):
        delayed = padded[lags - lag :][: len(direct)]
        theirs = dot(delayed, delayed) + ridge
        with_delayed, cross = dot(target, delayed), dot(direct, delayed)
        explained = theirs * with_direct**2 + own * with_delayed**2 - 2 * cross * with_direct * with_delayed
        left = np.maximum(energy - explained / (own * theirs - cross**2), 0.0)
        evidence[:, lag] = -np.log((left + floor) / (energy + floor))
    evidence -= evidence.mean(axis=1, keepdims=True)
    evidence[:, 1:-1] += 0.5 * (evidence[:, 2:] + evidence[:, :-2])
    return evidence, step, step * frame


def folded(evidence: Evidence, times: Array, rate: float) -> Evidence:
    """Evidence (frames, lags) summed over the frames of equal phase: (BINS, lags)."""
    phase = (np.mod(times * rate, 1.0) * BINS).astype(np.int64) % BINS
    of_phase = np.zeros((BINS, len(times)), np.float32)
    of_phase[phase, np.arange(len(times))] = 1.0
    return of_phase @ evidence


def _smoothest(fold: Evidence, reach_share: float) -> Array:
    """Two harmonics (5,), in lags, of the path of most evidence through a fold (BINS, lags).

    It never jumps further than a share of the lags from phase to phase. Dynamic programming (Viterbi),
    twice: the second round ends where it begins.
    """
    lags = fold.shape[1]
    reach = max(2, round(reach_share * lags))
    path, near = np.zeros(BINS, np.int64), np.ones(lags, bool)
    for _ in range(2):
        total, came = np.where(near, fold[0], -np.inf), np.zeros((BINS, lags), np.int64)
        for phase in range(1, BINS):
            padded = np.pad(total, reach, constant_values=-np.inf)
            reachable = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
            best = reachable.argmax(axis=1)
            came[phase] = np.clip(np.arange(lags) + best - reach, 0, lags - 1)
            total = reachable[np.arange(lags), best] + fold[phase]
        path[-1] = int(np.where(near, total, -np.inf).argmax())
        for phase in range(BINS - 1, 0, -1):
            path[phase - 1] = came[phase, path[phase]]
        near = np.abs(np.arange(lags) - path[-1]) <= reach
    waves = harmonics((np.arange(BINS) + 0.5) / BINS, 2)
    return np.asarray(np.linalg.lstsq(waves.T, path.astype(np.float64), rcond=None)[0])
