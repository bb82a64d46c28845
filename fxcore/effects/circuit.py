"""Parts of analogue circuits: capacitors as first-order filters, a lopsided clip, and oversampling.

Harmonics that a clip makes above half the sample rate fold back as tones that were never played.
Circuits therefore run at a multiple of the sample rate, and their wet is filtered on the way back.
"""

from collections.abc import Callable

import numpy as np
from scipy import signal

from fxcore.audio import Signal, resample

OVERSAMPLING = 8


def db_to_gain(level_db: float) -> float:
    """Amplitude ratio of a level.

    >>> db_to_gain(-20.0)
    0.1
    """
    return float(10 ** (level_db / 20))


def highpass(samples: Signal, cutoff_hz: float, sample_rate: int) -> Signal:
    """A capacitor in series, 6 dB an octave: takes DC away; (C, T) along time, causal."""
    return samples - lowpass(samples, cutoff_hz, sample_rate)


def lowpass(samples: Signal, cutoff_hz: float, sample_rate: int) -> Signal:
    """A capacitor to ground, 6 dB an octave; (C, T) along time, causal."""
    b, a = signal.butter(1, cutoff_hz, fs=sample_rate)
    filtered: Signal = signal.lfilter(b, a, samples.astype(np.float64), axis=-1).astype(np.float32)
    return filtered


def lopsided_clip(samples: Signal, asymmetry: float) -> Signal:
    """tanh above zero; below, the same slope at zero but a lower limit, 1 - asymmetry.

    Asymmetry 0 is tanh itself, with odd harmonics only; above it, even ones join them.
    """
    limit = np.float32(1.0 - asymmetry)
    above, below = np.maximum(samples, 0), np.minimum(samples, 0)
    return np.tanh(above) + limit * np.tanh(below / limit)


def oversampled(circuit: Callable[[Signal, int], Signal], dry: Signal, sample_rate: int) -> Signal:
    """Run a circuit (C, T) -> (1, T) at eight times the sample rate; the wet (1, T) stays aligned."""
    fine_rate = OVERSAMPLING * sample_rate
    fine = circuit(resample(dry, sample_rate, fine_rate), fine_rate)
    return resample(fine, fine_rate, sample_rate)[:, : dry.shape[1]]
