"""What an effect is like before any model is fitted: is it linear, and does it repeat?

Both routes an effect to the models that can hold it, and both are floors: no time-invariant linear filter
gets below the linearity ESR, and no model that is not told the time below the repeatability ESR.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft, signal

from datasets.manifest import Probes
from fxcore.audio import Recording, Signal
from fxcore.effects import Effect

LATER_S = 1.2345  # no simple fraction of an LFO's period
SHORTEST_WINDOW, LONGEST_WINDOW = 8192, 65_536  # samples
ENOUGH_WINDOWS = 64


def play_probes(effect: Effect, dry: Signal, sample_rate: int) -> Probes:
    """Play a dry (1, T) through an effect, then at half level, then after a stretch of silence."""
    wet = effect(dry, sample_rate)
    half = effect(np.float32(0.5) * dry, sample_rate)
    silence = np.zeros((1, round(LATER_S * sample_rate)), np.float32)
    later = effect(np.concatenate([silence, dry], axis=1), sample_rate)[:, silence.shape[1] :]
    # Two plays differ by twice the variance about their mean, which is the best prediction of both.
    return Probes(linearity_esr=esr(np.float32(2) * half, wet), repeatability_esr=0.5 * esr(later, wet))


def esr(pred: Signal, wet: Signal) -> float:
    """Error-to-signal ratio of two whole signals (1, T)."""
    wet64 = wet.astype(np.float64)
    return float(np.sum((pred - wet64) ** 2) / np.sum(wet64**2))


def incoherent_share(recordings: Sequence[Recording]) -> float | None:
    """Share of the wet's energy that is not coherent with the dry; None where all recordings are too short.

    With γ² the magnitude-squared coherence (Carter, 1987) by Welch's method, that is Σ(1 − γ²)·S_wet over
    ΣS_wet: the ESR that a linear filter, as long as a window and the same all the time, cannot beat.
    """
    window = _window_samples(recordings)
    spectra = np.zeros((3, window // 2 + 1), np.complex128)  # of dry, wet and both, summed over windows
    count = 0
    for recording in recordings:
        spectra_of_both = _spectra(recording.dry, window), _spectra(recording.wet, window)
        for dry_bins, wet_bins in zip(*spectra_of_both, strict=True):
            spectra += dry_bins * dry_bins.conj(), wet_bins * wet_bins.conj(), dry_bins.conj() * wet_bins
            count += 1
    energy: npt.NDArray[np.float64] = spectra[1].real
    if count < 2 or energy.sum() == 0:
        return None
    coherence = np.abs(spectra[2]) ** 2 / np.maximum(spectra[0].real * energy, 1e-30)
    # One window alone is wholly coherent: n of them find 1/n too much.
    unbiased = (coherence - 1 / count) / (1 - 1 / count)
    return float(np.clip(((1 - unbiased) * energy).sum() / energy.sum(), 0.0, 1.0))


def _window_samples(recordings: Sequence[Recording]) -> int:
    """The longest window, so that echoes fit into it, of which there are enough to average."""
    window = LONGEST_WINDOW
    while window > SHORTEST_WINDOW and sum(_windows(r.dry, window) for r in recordings) < ENOUGH_WINDOWS:
        window //= 2
    return window


def _windows(samples: Signal, window: int) -> int:
    """How many windows that overlap by half fit into a signal."""
    return max(int(samples.shape[-1]) // (window // 2) - 1, 0)


def _spectra(samples: Signal, window: int) -> Iterator[npt.NDArray[np.complex128]]:
    """Spectrum (window // 2 + 1,) of each of those windows, without its mean, by Hann's weights."""
    hann = signal.get_window("hann", window)
    for index in range(_windows(samples, window)):
        start = index * (window // 2)
        frame = samples[0, start : start + window].astype(np.float64)
        yield np.asarray(fft.rfft((frame - frame.mean()) * hann), np.complex128)
