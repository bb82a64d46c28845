"""Repeats: stretches that a dry recording plays twice, and how alike its wet is there.

What a wet does differently to the same dry (noise, an LFO, a tape's flutter) no model can foresee that is
not told the time. Test signals for reamping repeat a section for this purpose; loops and pasted takes do too.

Repeats are found as audio fingerprints are (Wang, 2003): at each local peak of the waveform some samples are
taken; equal ones elsewhere vote for a lag; a lag with votes is tried sample by sample.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d
from scipy.spatial import cKDTree

from fxcore.audio import Signal

MIN_S = 0.5  # of a repeat, and of its sounding part
BLOCK_S = 0.01
SAME = 1e-6  # energy of a difference, -60 dB of the block's: dither and rounding pass, other takes do not
AUDIBLE = 1e-6  # of the loudest block's energy
PEAK_S = 0.012  # a peak is the highest sample within this, on both sides
OFFSETS = np.array([-449, -331, -223, -149, -83, -41, 17, 59, 113, 191, 283, 401])  # from it, in samples
NEAR, NEIGHBOURS = 0.01, 8  # of the peak's height
MIN_VOTES, MAX_LAGS = 4, 24
SETTLE_S = 2.0  # what an effect remembers of before the section, echoes and tails, is over by then


class Repeat(NamedTuple):
    """A stretch that is played again."""

    start: int  # in samples
    again: int
    samples: int


class Repeatability(NamedTuple):
    """Energies over all repeats, to be added up over pairs."""

    difference: float  # half the energy of the difference: the variance about the mean of both
    energy: float  # mean of both
    seconds: float

    @property
    def esr(self) -> float | None:
        """The ESR of the best prediction, their mean; None where nothing repeats."""
        return self.difference / self.energy if self.energy > 0 else None


def find_repeats(dry: Signal, sample_rate: int) -> list[Repeat]:
    """Stretches of at least half a second that a dry (1, T) plays twice, to the sample and to -60 dB.

    Of a stretch that is played n times, all n (n - 1) / 2 couples are listed, up to a limit. A steady tone,
    which repeats itself all the time, is none.
    """
    block = max(round(BLOCK_S * sample_rate), 1)
    energy = _block_energy(dry[0], block)
    audible = AUDIBLE * energy.max(initial=0.0)
    found = []
    for lag in _likely_lags(dry[0], sample_rate):
        late = dry[0, lag:]
        difference = _block_energy(dry[0, : len(late)] - late, block)
        same = difference <= SAME * energy[: len(difference)] + 1e-12
        for first, last in _runs(same):
            sounding = np.flatnonzero(energy[first:last] > audible)
            if len(sounding) * block >= MIN_S * sample_rate:
                start, stop = (int(first + edge) * block for edge in (sounding[0], sounding[-1] + 1))
                if stop - start <= lag:
                    found.append(Repeat(start, start + lag, stop - start))
    return sorted(found)


def repeatability(wet: Signal, repeats: Sequence[Repeat], sample_rate: int) -> Repeatability:
    """How alike a wet (1, T), aligned to its dry, is at repeats of it.

    Two plays w₁ = m + e₁ and w₂ = m + e₂ with independent errors differ by E|w₁ − w₂|² = 2 E|e|². The best
    prediction is m, so E|e|² over the mean of E|w|² is the ESR that no model gets below. The first two
    seconds of a repeat, at most half of it, are left out.
    """
    difference = energy = samples = 0.0
    for start, again, length in repeats:
        settled = min(round(SETTLE_S * sample_rate), length // 2)
        first, second = (wet[0, s + settled : s + length].astype(np.float64) for s in (start, again))
        first = first[: len(second)]
        difference += 0.5 * float(np.sum((first - second) ** 2))
        energy += 0.5 * float(np.sum(first**2) + np.sum(second**2))
        samples += len(first)
    return Repeatability(difference, energy, samples / sample_rate)


def pooled(found: Iterable[Repeatability]) -> Repeatability:
    """Of several pairs through the same gear."""
    totals = np.sum([(0.0, 0.0, 0.0), *found], axis=0)
    return Repeatability(*(float(total) for total in totals))


def _likely_lags(samples: npt.NDArray[np.float32], sample_rate: int) -> list[int]:
    """Lags of half a second and more that several peaks have an equal at, most votes first."""
    peaks = _peaks(np.abs(samples), round(PEAK_S * sample_rate))
    peaks = peaks[(peaks >= -OFFSETS[0]) & (peaks < len(samples) - OFFSETS[-1])]
    if len(peaks) < 2 * MIN_VOTES:
        return []
    prints = samples[peaks[:, None] + OFFSETS] / np.abs(samples[peaks])[:, None]  # (peaks, offsets)
    _, other = cKDTree(prints).query(prints, k=NEIGHBOURS + 1, distance_upper_bound=NEAR)
    lags = np.append(peaks, peaks[-1])[other] - peaks[:, None]
    found = (other < len(peaks)) & (lags != 0)
    near = found & (np.abs(lags) < MIN_S * sample_rate)
    lags = lags[found & (lags > 0) & ~near.any(axis=1, keepdims=True)]  # peaks of a steady tone have no vote
    votes = Counter(lags.tolist())
    return [lag for lag, count in votes.most_common(MAX_LAGS) if count >= MIN_VOTES]


def _peaks(height: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.int64]:
    """Where a height is the largest of all within `reach` on both sides, and is audible."""
    top = maximum_filter1d(height, 2 * reach + 1, mode="nearest")
    rising = np.diff(height, prepend=0) > 0  # the first sample of a plateau alone
    return np.flatnonzero((height == top) & rising & (height > AUDIBLE**0.5 * height.max(initial=0.0)))


def _block_energy(samples: npt.NDArray[np.float32], block: int) -> npt.NDArray[np.float64]:
    whole = samples[: len(samples) // block * block].reshape(-1, block)
    return np.asarray(np.einsum("ij,ij->i", whole, whole, dtype=np.float64), np.float64)


def _runs(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """First and last + 1 of each run of true, (runs, 2)."""
    return np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))).reshape(-1, 2)
