"""Parts of analogue circuits: capacitors as first-order filters, a lopsided clip, and oversampling.

Harmonics that a clip makes above half the sample rate fold back as tones that were never played.
Circuits therefore run at a multiple of the sample rate, and their wet is filtered on the way back.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import signal

from fxcore.audio import Signal

OVERSAMPLING = 8
FILTER_TAPS = 65 * OVERSAMPLING


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
    """Run a circuit (C, T) -> (1, T) at eight times the sample rate.

    Both filters are of minimum phase: like the gear itself, the wet (1, T) hears nothing before it is played.
    """
    lowpass, n_samples = _half_band(), dry.shape[1]
    fine = signal.upfirdn(OVERSAMPLING * lowpass, dry, up=OVERSAMPLING)[:, : OVERSAMPLING * n_samples]
    wet: Signal = signal.upfirdn(
        lowpass, circuit(fine.astype(np.float32), OVERSAMPLING * sample_rate), down=OVERSAMPLING
    )[:, :n_samples].astype(np.float32)
    return wet


@cache
def _half_band() -> npt.NDArray[np.float64]:
    """Impulse response of a low-pass at the coarse Nyquist frequency: flat to .9 of it, -100 dB from 1.1."""
    taps = signal.firwin(FILTER_TAPS, 1.0 / OVERSAMPLING, window=("kaiser", 10.0))
    found: npt.NDArray[np.float64] = signal.minimum_phase(taps, n_fft=1 << 16, half=False)
    return found
