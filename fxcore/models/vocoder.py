"""A phase vocoder that shifts pitch at once, after Laroche & Dolson (New phase-vocoder techniques, 1999).

Each spectral peak is moved, with the bins around it, to its new frequency; bins keep their phase towards
their peak (identity phase locking), and a peak's rotation goes on from that of the peak whose bins it grew
out of. No partial is resynthesised and time is not stretched, so that an attack stays as short as the
window's end.

What delays a vocoder is that the middle of its window lies in the past. Here windows are lopsided, long
before and short after their maximum (Mauler & Martin, A low delay, variable resolution, perfect
reconstruction spectral analysis-synthesis system, 2007), only the last bit of each frame is played, and it
is played the moment that the frame ends: a steady sound has no delay, an attack that of the short side.
The price is a window whose lobes have wide skirts. They are trimmed: a bin is turned down by the square root
of how far it lies below its peak.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex128]

HOPS = 4  # in the short side of a window
FAINTEST = 1e-18  # energy of a bin, below which nothing is a peak
ROUNDING = 0.5 + 1e-6  # to whole bins: a tone that lies between two goes up, whatever its last digits

# told beforehand, so that it is compiled when asked for and not when first called
SIGNATURE = "c16[:,::1](c16[:,::1], f8, i8, i8, i8, f8[::1], c16[::1])"
Shift = Callable[[Spectrum, float, int, int, int, Array, Spectrum], Spectrum]


@functools.lru_cache(maxsize=32)
def windows(window_samples: int, tail_samples: int) -> tuple[Array, Array]:
    """Analysis (window,) and synthesis (2 · tail,): a tone's hops add up to that tone.

    The product of the two over the last 2 · tail, with the analysis' skirt trimmed, is a Hann window. Shared
    by all callers: read only.
    """
    before = window_samples - tail_samples
    rise = np.sin(np.pi / 2 * (np.arange(before) + 0.5) / before)
    fall = np.cos(np.pi / 2 * (np.arange(tail_samples) + 0.5) / tail_samples)
    analysis = np.concatenate([rise, np.sqrt(fall)])
    spectrum = np.fft.fft(analysis)
    trimmed = np.fft.ifft(spectrum * np.sqrt(np.abs(spectrum) / np.abs(spectrum[0]))).real
    hann = np.square(np.sin(np.pi * (np.arange(2 * tail_samples) + 0.5) / (2 * tail_samples)))
    return analysis, hann / trimmed[-2 * tail_samples :] / HOPS


@functools.cache
def compiled() -> Shift:
    """`shift(spectra, ratio, window_samples, hop_samples, centre, angles, last)`: shifted spectra (F, K).

    spectra (F, K) are those of frames (F, window), one hop after another; phases are kept at sample `centre`
    of a frame. angles (K,), each bin's rotation so far, and last (K,), the last spectrum, are what was
    before, and are overwritten. Compiling takes a second or two, once a process.
    """
    from numba import njit  # a third of a second, hence not before it is needed

    jit = njit(SIGNATURE, error_model="numpy")

    @jit
    def shift(
        spectra: Spectrum,
        ratio: float,
        window_samples: int,
        hop_samples: int,
        centre: int,
        angles: Array,
        last: Spectrum,
    ) -> Spectrum:
        frames, bins = spectra.shape
        turn = 2 * math.pi
        shifted = np.zeros_like(spectra)
        peaks = np.empty(bins, np.int64)
        energy = np.empty(bins, np.float32)  # no more digits: what is equal in theory shall be so here
        for frame in range(frames):
            for k in range(bins):
                energy[k] = spectra[frame, k].real ** 2 + spectra[frame, k].imag ** 2
            count = 0
            for k in range(2, bins - 2):
                if (
                    energy[k] > FAINTEST
                    and energy[k] > energy[k - 1]
                    and energy[k] > energy[k - 2]
                    and energy[k] >= energy[k + 1]
                    and energy[k] >= energy[k + 2]
                ):
                    peaks[count] = k
                    count += 1
            grown = np.zeros(bins)
            for i in range(count):
                peak = peaks[i]
                first = (peaks[i - 1] + peak + 1) // 2 if i > 0 else 0
                end = (peak + peaks[i + 1] + 1) // 2 if i < count - 1 else bins
                advance = spectra[frame, peak] * last[peak].conjugate()
                expected = turn * peak * hop_samples / window_samples
                excess = 0.0  # where nothing was heard before
                if advance != 0:
                    excess = math.atan2(advance.imag, advance.real) - expected
                    excess -= turn * round(excess / turn)
                shift_radians = (ratio - 1.0) * (expected + excess)  # a hop
                angle = angles[peak] + shift_radians
                angle -= turn * math.floor(angle / turn)
                by = math.floor(shift_radians * window_samples / (turn * hop_samples) + ROUNDING)
                turned = angle - turn * ((by * centre) % window_samples) / window_samples
                rotation = complex(math.cos(turned), math.sin(turned))
                for k in range(first, end):
                    grown[k] = angle
                    if 0 < k + by < bins - 1:
                        skirt = math.sqrt(math.sqrt(np.float64(energy[k]) / np.float64(energy[peak])))
                        shifted[frame, k + by] += spectra[frame, k] * rotation * skirt
            for k in range(bins):
                angles[k] = grown[k]
                last[k] = spectra[frame, k]
        return shifted

    found: Shift = shift
    return found
