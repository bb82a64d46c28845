"""Generalised cross-correlation of a dry and a wet, with PHAT-β weighting (Knapp & Carter, 1976).

The weighting keeps the phases of the cross-spectrum and all but levels its magnitudes (β = 0.8), so that the
peak stays sharp under filters and distortion.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, signal

from fxcore.audio import Signal

Array = npt.NDArray[np.float64]

BETA = 0.8
FINE_REACH = 64  # lags on both sides that a sub-sample peak is interpolated from


class Correlation(NamedTuple):
    """Correlations of a pre-emphasised pair at lags -reach .. +reach; `auto` from lag 0 on."""

    auto: Array
    cross: Array
    whitened: Array  # in units of its own rms; 0 in the margins
    wet_energy: float
    reach: int

    def strongest(self) -> tuple[int, float]:
        """Lag and height of the whitened peak; of equals, as a steady tone has, the one nearest to 0."""
        height = np.abs(self.whitened)
        lags = np.flatnonzero(height >= 0.98 * height.max()) - self.reach
        peak = int(lags[np.argmin(np.abs(lags))])
        return peak, float(height[peak + self.reach])

    def refined(self, peak: int) -> float:
        """Sub-sample lag of the whitened peak at lag `peak`: band-limited interpolation, then a parabola."""
        centre = peak + self.reach
        around = np.arange(max(centre - FINE_REACH, 0), min(centre + FINE_REACH + 1, len(self.whitened)))
        shifts = np.linspace(-1.0, 1.0, 41)
        distance = shifts[:, None] - (around - centre)  # (shifts, lags)
        kernel = np.sinc(distance) * np.cos(0.5 * np.pi * distance / (FINE_REACH + 2)) ** 2
        height = np.abs(kernel @ self.whitened[around])
        top = int(np.clip(np.argmax(height), 1, len(shifts) - 2))
        left, middle, right = height[top - 1 : top + 2]
        bend = left - 2 * middle + right
        vertex = 0.5 * (left - right) / bend if bend < 0 else 0.0
        return float(peak + shifts[top] + np.clip(vertex, -1.0, 1.0) * (shifts[1] - shifts[0]))


def correlate(dry: Signal, wet: Signal, reach: int, margin: int = 0) -> Correlation:
    """Correlations of (1, T) each at lags up to ±(`reach` + `margin`), peaks within ±`reach`."""
    reach += margin
    size = fft.next_fast_len(max(dry.shape[-1], wet.shape[-1], reach + 1) + reach, real=True)
    # Pre-emphasis: the highs tell time best.
    dry64, wet64 = (signal.lfilter([1.0, -0.95], [1.0], side[0].astype(np.float64)) for side in (dry, wet))
    dry_bins, wet_bins = fft.rfft(dry64, size), fft.rfft(wet64, size)
    cross = wet_bins * np.conj(dry_bins)
    magnitude = np.abs(cross)
    weight = np.maximum(magnitude, 1e-9 * magnitude.max(initial=1e-30)) ** -BETA
    whitened = at_lags(cross * weight, size, reach)
    whitened /= np.sqrt(np.mean(whitened**2)) + 1e-30
    if margin:
        whitened[:margin] = whitened[-margin:] = 0.0
    auto = fft.irfft(np.abs(dry_bins) ** 2, size)
    wet_energy = float(np.vdot(wet64, wet64))
    return Correlation(auto[: 2 * reach + 1], at_lags(cross, size, reach), whitened, wet_energy, reach)


def at_lags(bins: npt.NDArray[np.complex128], size: int, reach: int) -> Array:
    """Correlation at lags -reach .. +reach from its spectrum."""
    values = fft.irfft(bins, size)
    return np.concatenate([values[-reach:], values[: reach + 1]])


def faded(samples: Signal, sample_rate: int) -> Signal:
    """Fade (1, T) in and out over 20 ms: a cut that dry and wet share would correlate by itself."""
    fade_samples = min(round(0.02 * sample_rate), samples.shape[-1] // 2)
    gain = np.arange(fade_samples, dtype=np.float32) / max(fade_samples, 1)
    result = samples.copy()
    result[:, :fade_samples] *= gain
    result[:, samples.shape[-1] - fade_samples :] *= gain[::-1]
    return result
