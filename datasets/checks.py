"""What may be wrong with a recorded pair, besides its latency: clipping, an offset, noise."""

import numpy as np
import numpy.typing as npt

from fxcore.audio import SILENCE_DBFS, Signal

FRAME_S = 0.05
MIN_FRAMES = 10  # of silence in the dry
QUIET_SHARE, STEADY_SHARE, STEADY_DB = 0.05, 0.2, 3.0
MAX_FADE = -4.0  # dB a second: a reverb of 15 s


def offset_dbfs(signal: Signal) -> float:
    """The largest mean of a channel of (C, T), in dB below full scale."""
    offset = float(np.abs(signal.mean(axis=1, dtype=np.float64)).max())
    return 20 * float(np.log10(offset + 1e-12))


def noise_floor_db(dry: Signal, wet: Signal, sample_rate: int) -> float | None:
    """Level of the wet (1, T) where the dry (1, T) is silent, against the wet's peak; they are aligned.

    Noise is steady: a fifth of that time must come within 3 dB of the quietest twentieth, without fading.
    None where that is not so, as under echoes and reverb, or where the dry is hardly ever silent.
    """
    frame = round(FRAME_S * sample_rate)
    frames = min(dry.shape[-1], wet.shape[-1]) // frame
    heard, played = (side[0, : frames * frame].reshape(frames, frame) for side in (dry, wet))
    silent = np.abs(heard).max(axis=1, initial=0.0) < 10 ** (SILENCE_DBFS / 20)
    if silent.sum() < MIN_FRAMES:
        return None
    pauses = played[silent].astype(np.float64)
    peak = float(np.abs(wet).max())
    levels_db = 10 * np.log10(np.var(pauses, axis=1) / peak**2 + 1e-15)  # an offset is no noise
    quiet_db = float(np.quantile(levels_db, QUIET_SHARE))
    steady = levels_db <= quiet_db + STEADY_DB
    if steady.mean() < STEADY_SHARE or _trend(np.flatnonzero(silent)[steady], levels_db[steady]) < MAX_FADE:
        return None
    return float(np.median(levels_db[steady]))


def _trend(frames: npt.NDArray[np.int64], levels_db: npt.NDArray[np.float64]) -> float:
    """Slope in dB/s of levels over their frames, common to all pauses, each about its own mean."""
    pause = np.cumsum(np.diff(frames, prepend=frames[:1]) > 1)
    count = np.bincount(pause)
    times = FRAME_S * frames
    times, levels_db = (v - (np.bincount(pause, v) / count)[pause] for v in (times, levels_db))
    return float(np.sum(times * levels_db) / (np.sum(times**2) + 1e-12))
