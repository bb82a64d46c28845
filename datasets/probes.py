"""What an effect is like before any model is fitted: is it linear, and does it repeat?

Both routes an effect to the models that can hold it, and both are floors: no time-invariant linear filter
gets below the linearity ESR, and no model that is not told the time below the repeatability ESR.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import signal

from datasets.manifest import Probes
from fxcore.audio import Recording, Signal
from fxcore.effects import Effect

LATER_S = 1.2345  # no simple fraction of an LFO's period
WELCH_SAMPLES = 8192


def play_probes(effect: Effect, dry: Signal, sample_rate: int) -> Probes:
    """Play a dry (1, T) through an effect, then at half level, then after a stretch of silence."""
    wet = effect(dry, sample_rate)
    half = effect(np.float32(0.5) * dry, sample_rate)
    silence = np.zeros((1, round(LATER_S * sample_rate)), np.float32)
    later = effect(np.concatenate([silence, dry], axis=1), sample_rate)[:, silence.shape[1] :]
    return Probes(linearity_esr=esr(np.float32(2) * half, wet), repeatability_esr=esr(later, wet))


def esr(pred: Signal, wet: Signal) -> float:
    """Error-to-signal ratio of two whole signals (1, T)."""
    wet64 = wet.astype(np.float64)
    return float(np.sum((pred - wet64) ** 2) / np.sum(wet64**2))


def incoherent_share(recordings: Sequence[Recording]) -> float | None:
    """Share of the wet's energy that is not coherent with the dry; None where all recordings are too short.

    With γ² the magnitude-squared coherence (Carter, 1987) by Welch's method, that is Σ(1 − γ²)·S_wet over
    ΣS_wet: the ESR that a linear filter, of about 8,192 samples and the same all the time, cannot beat.
    """
    spectra = np.zeros((3, WELCH_SAMPLES // 2 + 1), np.complex128)  # dry, wet, cross; summed over segments
    segments = 0
    for _, dry, wet in recordings:
        here = dry.shape[-1] // (WELCH_SAMPLES // 2) - 1  # segments overlap by half
        if here >= 1:
            pairs = ((dry, dry), (wet, wet), (dry, wet))
            spectra += here * np.stack([signal.csd(a[0], b[0], nperseg=WELCH_SAMPLES)[1] for a, b in pairs])
            segments += here
    energy: npt.NDArray[np.float64] = spectra[1].real
    if segments < 2 or energy.sum() == 0:
        return None
    coherence = np.abs(spectra[2]) ** 2 / np.maximum(spectra[0].real * energy, 1e-30)
    # One segment alone is wholly coherent: n of them find 1/n too much.
    unbiased = np.clip((coherence - 1 / segments) / (1 - 1 / segments), 0.0, 1.0)
    return float(((1 - unbiased) * energy).sum() / energy.sum())
