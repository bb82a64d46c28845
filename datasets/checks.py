"""What may be wrong with a recorded pair, besides its latency: clipping, an offset, noise."""

import numpy as np

from fxcore.audio import SILENCE_DBFS, Signal

FRAME_S = 0.05
MIN_FRAMES = 10  # of silence in the dry
QUIET_SHARE, STEADY_SHARE, STEADY_DB = 0.05, 0.2, 3.0


def offset_dbfs(signal: Signal) -> float:
    """The largest mean of a channel of (C, T), in dB below full scale."""
    offset = float(np.abs(signal.mean(axis=1, dtype=np.float64)).max())
    return 20 * float(np.log10(offset + 1e-12))


def noise_floor_db(dry: Signal, wet: Signal, sample_rate: int) -> float | None:
    """Level of the wet (1, T) where the dry (1, T) is silent, against the wet's peak; they are aligned.

    Noise is steady: a fifth of that time must come within 3 dB of the quietest twentieth. None where the wet
    still fades, as echoes and reverb do, or the dry is hardly ever silent.
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
    if steady.mean() < STEADY_SHARE:
        return None
    return float(np.median(levels_db[steady]))
