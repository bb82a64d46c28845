"""Alignment: how late a wet recording lies behind its dry, without taking the effect's own phase for latency.

Where they match is the peak of the generalised cross-correlation with PHAT-β weighting (Knapp & Carter,
1976), sharp under filters and distortion. That peak carries the effect's phase, so the latency is where
the response begins: the lag before which a least-squares FIR gains nothing. A pitch-shifted wet matches as
no waveform; its onsets do, as spectral flux (Dixon, 2006). Signals are (1, T) at one rate.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, signal
from scipy.linalg import cho_solve, cholesky, solve_triangular, toeplitz

from fxcore.audio import Signal
from fxcore.errors import PairError

Array = npt.NDArray[np.float64]

MIN_STRENGTH = 12.0  # peak over rms of the whitened correlation: true pairs 28 and more, foreign ones below 9
MIN_EXPLAINED = (
    0.12  # of the wet by the best FIR there: true pairs .19 and more, pitch-shifted ones below .11
)
MIN_FLUX_CORRELATION = 0.28  # true pairs .33 and more, foreign ones below .21
LOOK_BACK, LOOK_AHEAD = 256, 512  # samples around the peak that the FIR covers
RIDGE = 1e-9
EXCERPT_S = 120.0


class Alignment(NamedTuple):
    """How a wet recording lies against its dry."""

    latency_samples: int  # positive: the wet comes late
    polarity: int  # -1: the wet is upside down
    correlation: float  # normalised, of the waveforms at their best lag or of the onsets, 0..1
    by: Literal["waveform", "onsets"]  # onsets: to 20 ms only, and of unknown polarity


class _Correlation(NamedTuple):
    """Correlations of a pre-emphasised pair; `cross` and `whitened` cover lags -reach .. +reach."""

    factor: Array  # lower Cholesky factor of the dry's autocorrelation matrix
    cross: Array
    whitened: Array  # in units of its own rms
    wet_energy: float
    reach: int


def align(dry: Signal, wet: Signal, sample_rate: int, *, max_latency_s: float = 1.0) -> Alignment:
    """Latency and polarity of the wet, searched within ±`max_latency_s`.

    The latency is never more than what causality allows: the stretch of up to 1.2 ms in which the
    response may rise unseen counts as the effect's. Raises `PairError` where nothing matches.
    """
    dry, wet = _excerpt(dry, wet, sample_rate)
    pair = _correlate(dry, wet, round(max_latency_s * sample_rate))
    peak = int(np.argmax(np.abs(pair.whitened))) - pair.reach
    strength = abs(float(pair.whitened[peak + pair.reach]))
    if strength >= MIN_STRENGTH and _explained(pair, peak).sum() >= MIN_EXPLAINED:
        return _by_waveform(pair, _first_arrival(pair, peak), sample_rate)
    found = _by_onsets(dry, wet, sample_rate, max_latency_s)
    if found is not None:
        return found
    raise PairError(
        f"dry and wet do not belong together: no lag within ±{max_latency_s:g} s correlates (peak "
        f"{strength:.1f} times the mean, {MIN_STRENGTH:g} needed); give a wet that was made from this dry"
    )


def overlap(dry: Signal, wet: Signal, latency_samples: int) -> tuple[Signal, Signal]:
    """Shift the wet by its latency and cut both to their common part, (1, T) each."""
    if latency_samples >= 0:
        wet = wet[:, latency_samples:]
    else:
        dry = dry[:, -latency_samples:]
    common = min(dry.shape[-1], wet.shape[-1])
    return dry[:, :common], wet[:, :common]


def _excerpt(dry: Signal, wet: Signal, sample_rate: int) -> tuple[Signal, Signal]:
    """Two minutes from the first sound on, their ends faded: a cut common to both is no evidence."""
    loud = np.flatnonzero(np.abs(dry[0]) > 0.01 * np.abs(dry[0]).max(initial=0.0))
    start = max(0, int(loud[0]) - sample_rate) if loud.size else 0
    stop = start + round(EXCERPT_S * sample_rate)
    return _faded(dry[:, start:stop], sample_rate), _faded(wet[:, start:stop], sample_rate)


def _faded(samples: Signal, sample_rate: int) -> Signal:
    n = min(round(0.02 * sample_rate), samples.shape[-1] // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, n, dtype=np.float32)) ** 2
    samples = samples.copy()
    samples[:, :n] *= ramp
    samples[:, samples.shape[-1] - n :] *= ramp[::-1]
    return samples


def _pre_emphasised(samples: Signal) -> Array:
    """First difference with a coefficient of 0.95: the highs tell time best."""
    return signal.lfilter([1.0, -0.95], [1.0], samples[0].astype(np.float64))


def _correlate(dry: Signal, wet: Signal, reach: int) -> _Correlation:
    reach += LOOK_BACK + LOOK_AHEAD
    size = fft.next_fast_len(max(dry.shape[-1], wet.shape[-1]) + reach, real=True)
    dry_bins, wet_bins = fft.rfft(_pre_emphasised(dry), size), fft.rfft(_pre_emphasised(wet), size)
    cross = wet_bins * np.conj(dry_bins)
    magnitude = np.abs(cross)
    auto = fft.irfft(np.abs(dry_bins) ** 2, size)[: LOOK_BACK + LOOK_AHEAD]
    auto[0] *= 1 + RIDGE
    wet_energy = float(np.sum(_pre_emphasised(wet) ** 2))
    whitened = _lags(cross / np.maximum(magnitude, 1e-9 * magnitude.max(initial=1e-30)) ** 0.8, size, reach)
    whitened /= np.sqrt(np.mean(whitened**2)) + 1e-30
    margin = LOOK_BACK + LOOK_AHEAD
    whitened[:margin] = whitened[-margin:] = 0  # peaks lie where a FIR around them still fits
    return _Correlation(cholesky(toeplitz(auto), lower=True), _lags(cross, size, reach), whitened, wet_energy, reach)


def _lags(bins: npt.NDArray[np.complex128], size: int, reach: int) -> Array:
    """Correlation at lags -reach .. +reach from its spectrum."""
    values = fft.irfft(bins, size)
    return np.concatenate([values[-reach:], values[: reach + 1]])


def _explained(pair: _Correlation, peak: int) -> Array:
    """Share of the wet's energy that each lag around `peak` explains beyond all later lags.

    Least squares over nested sets of lags: with R = LLᵀ of the lags in reverse, the shares are the squares
    of L⁻¹p, so that their running sum is what a FIR loses by starting that much later.
    """
    first = peak - LOOK_BACK + pair.reach
    target = pair.cross[first : first + LOOK_BACK + LOOK_AHEAD][::-1]
    steps = solve_triangular(pair.factor, target, lower=True)[::-1]
    shares: Array = steps**2 / (pair.wet_energy + 1e-30)
    return shares


def _first_arrival(pair: _Correlation, peak: int) -> int:
    """The peak, or an earlier one from 0 on: the direct sound before an echo that is louder than it."""
    earlier = np.abs(pair.whitened[pair.reach : pair.reach + max(peak - LOOK_BACK, 0)])
    floor = max(MIN_STRENGTH, 0.1 * abs(float(pair.whitened[pair.reach + peak])))
    for lag in np.flatnonzero(earlier >= floor):
        if _explained(pair, int(lag)).sum() >= MIN_EXPLAINED / 4:
            return int(lag)
    return peak


def _by_waveform(pair: _Correlation, peak: int, sample_rate: int) -> Alignment:
    """Latency: the response's onset, less the stretch in which an unseen rise may hide."""
    shares = _explained(pair, peak)
    unexplained = max(1.0 - float(shares.sum()), 0.0)
    noise = float(shares[: LOOK_BACK // 2].mean())
    lost = np.cumsum(shares - noise)
    onset = min(peak - LOOK_BACK + int(np.argmax(lost > 0.02 * unexplained + 1e-6)), peak)
    guard = round((0.1 + 1.1 * unexplained) * sample_rate / 1000)
    latency = max(onset - guard, 0) if onset >= 0 else onset - guard
    polarity = _polarity(pair, peak)
    return Alignment(latency, polarity, float(np.sqrt(1-unexplained)), "waveform")


def _polarity(pair: _Correlation, peak: int) -> int:
    first = peak - LOOK_BACK + pair.reach
    target = pair.cross[first : first + LOOK_BACK + LOOK_AHEAD][::-1]
    taps = cho_solve((pair.factor, True), target)
    import sys; sys.modules['__main__'].__dict__.setdefault('DBG',[]).append((taps,LOOK_BACK+LOOK_AHEAD-1-np.argmax(np.abs(taps))+peak-LOOK_BACK))
    return -1 if taps[np.argmax(np.abs(taps))] < 0 else 1


def _by_onsets(dry: Signal, wet: Signal, sample_rate: int, max_latency_s: float) -> Alignment | None:
    """Alignment of two spectral fluxes, where they correlate clearly; lags up to 20 ms count as none."""
    hop = round(0.005 * sample_rate)
    a, b = _flux(dry, hop), _flux(wet, hop)
    reach = round(max_latency_s * sample_rate / hop)
    size = fft.next_fast_len(max(len(a), len(b)) + reach, real=True)
    lags = _lags(fft.rfft(b, size) * np.conj(fft.rfft(a, size)), size, reach)
    lags /= np.linalg.norm(a) * np.linalg.norm(b) + 1e-30
    best = int(np.argmax(lags))
    if lags[best] < MIN_FLUX_CORRELATION:
        return None
    lag_hops = best - reach
    latency = 0 if abs(lag_hops) <= 4 else (lag_hops - 4) * hop
    return Alignment(latency, 1, float(lags[best]), "onsets")


def _flux(samples: Signal, hop: int) -> Array:
    """Spectral flux, one value a hop, less its mean: rises of the log spectrum of four-hop frames."""
    _, _, frames = signal.stft(samples[0], nperseg=4 * hop, noverlap=3 * hop, boundary=None, padded=False)
    magnitude = np.abs(frames)
    level = np.log1p(1000 * magnitude / (magnitude.max(initial=0.0) + 1e-30))
    flux = np.maximum(np.diff(level, axis=1), 0.0).sum(axis=0)
    return np.asarray(flux - flux.mean(), np.float64)
