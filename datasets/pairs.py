"""A recorded pair: two files read, brought to one sample rate, and aligned."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.checks import offset_dbfs
from datasets.drift import Drift, Jump, drift_of, jump_of, track_latency, without_drift
from datasets.pairing import PairPaths
from fxcore.alignment import Alignment, align, overlap
from fxcore.audio import Signal, check_not_silent, count_clipped, read, resample
from fxcore.errors import PairError

MAX_DIFFERENCE_S = 1.0  # between the lengths of dry and wet
NEAR_S, FAR_S = 0.03, 1.05  # where to look for a latency that is about known, and for one that is not


class Side(NamedTuple):
    """One file of a pair as it was recorded."""

    path: Path
    samples: Signal  # (1, T)
    sample_rate: int
    clipped: int  # samples at full scale
    offset_dbfs: float  # of the worst channel


class Pair(NamedTuple):
    """A pair at one sample rate, not shifted yet."""

    name: str
    recorded: tuple[Side, Side]
    dry: Signal
    wet: Signal
    sample_rate: int
    alignment: Alignment
    drift: Drift | None
    jump: Jump | None

    def aligned(self, latency_samples: int, sample_rate: int | None = None) -> tuple[Signal, Signal]:
        """Dry and wet shifted by a latency and cut to their common part, at another rate if one is given."""
        if sample_rate is None or sample_rate == self.sample_rate:
            return overlap(self.dry, self.wet, latency_samples)
        dry, wet = (resample(side.samples, side.sample_rate, sample_rate) for side in self.recorded)
        return overlap(dry, wet, round(latency_samples * sample_rate / self.sample_rate))


def load_pair(
    paths: PairPaths,
    *,
    sample_rate: int | None = None,
    latency_samples: int | None = None,
    min_seconds: float = 0.0,
) -> Pair:
    """Read, check, resample and align two recordings of any rate, format and channel count.

    Args:
        sample_rate: in Hz; the dry's if None. latency_samples: at that rate; measured if None.

    Raises `AudioError` for a file that cannot be used, `PairError` for two that are no pair.
    """
    recorded = _read(paths.dry), _read(paths.wet)
    rate = sample_rate or recorded[0].sample_rate
    dry, wet = (resample(side.samples, side.sample_rate, rate) for side in recorded)
    check_not_silent(dry, str(paths.dry))
    check_not_silent(wet, str(paths.wet))
    _check_lengths(dry, wet, rate, min_seconds)
    found = _align(dry, wet, rate) if latency_samples is None else _given(dry, wet, rate, latency_samples)
    return Pair(paths.name, recorded, dry, wet, rate, *found)


def _read(path: Path) -> Side:
    samples, sample_rate = read(path)
    mono = samples if len(samples) == 1 else samples.mean(axis=0, keepdims=True, dtype=np.float32)
    return Side(path, mono, sample_rate, count_clipped(samples), offset_dbfs(samples))


def _check_lengths(dry: Signal, wet: Signal, rate: int, min_s: float) -> None:
    dry_s, wet_s = dry.shape[-1] / rate, wet.shape[-1] / rate
    if abs(dry_s - wet_s) > MAX_DIFFERENCE_S:
        raise PairError(
            f"dry and wet must be of one length, give or take {MAX_DIFFERENCE_S:g} s; got {dry_s:.2f} s and "
            f"{wet_s:.2f} s; export both from the same start to the same end"
        )
    if min(dry_s, wet_s) < min_s:
        raise PairError(
            f"a pair must last {min_s:g} s to be split; got {min(dry_s, wet_s):.2f} s; record more"
        )


def _align(dry: Signal, wet: Signal, rate: int) -> tuple[Alignment, Drift | None, Jump | None]:
    """Alignment at the start, and how it changes; measured without the drift, which smears all peaks."""
    found, refused = None, None
    try:
        found = align(dry, wet, rate)
    except PairError as error:
        refused = error
    if found is not None and found.by == "waveform":
        track = track_latency(*overlap(dry, wet, found.latency_samples), rate, NEAR_S)
    else:
        track = track_latency(dry, wet, rate, FAR_S)
    drift = drift_of(track)
    if drift is not None and drift.certain:
        return align(dry, without_drift(wet, drift), rate), drift, None
    if found is None:
        assert refused is not None
        raise refused
    return found, drift, jump_of(track)


def _given(
    dry: Signal, wet: Signal, rate: int, latency_samples: int
) -> tuple[Alignment, Drift | None, Jump | None]:
    """The user's own latency, and how the waveforms agree there."""
    if abs(latency_samples) > dry.shape[-1] // 2:
        raise PairError(f"a latency must be shorter than half the recording; got {latency_samples} samples")
    a, b = overlap(dry, wet, latency_samples)
    product = float(np.vdot(a, b)) / (float(np.linalg.norm(a) * np.linalg.norm(b)) + 1e-30)
    track = track_latency(a, b, rate, NEAR_S)
    drift = drift_of(track)
    fine = None if drift is None else latency_samples + float(np.median(track.lags))
    polarity = -1 if product < 0 else 1
    found = Alignment(latency_samples, polarity, min(abs(product), 1.0), "waveform", fine)
    return found, drift, jump_of(track)
