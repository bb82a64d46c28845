"""Alignment: how late a wet recording lies behind its dry, the effect's own phase left in.

A pair matches at the peak of its whitened cross-correlation. That peak carries the effect's phase: removing
it would leave a response that begins before its cause. So the latency is where a least-squares FIR begins to
gain. A pitch-shifted wet matches as no waveform; its onsets do, as spectral flux (Dixon, 2006).
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, signal
from scipy.linalg import cholesky, solve_toeplitz, solve_triangular

from fxcore.audio import Signal, check_not_silent
from fxcore.correlation import Array, Correlation, at_lags, correlate, faded
from fxcore.errors import PairError

MIN_STRENGTH = 12.0  # peak over rms of the whitened correlation: true pairs 28 and more, foreign ones below 9
CLEAR_STRENGTH = 40.0  # above it, the FIR below need not agree: noise and fuzz leave it little
MIN_EXPLAINED = 0.12  # of the wet, by a FIR there: true pairs .19 and more, pitch-shifted ones below .11
MIN_FLUX_CORRELATION = 0.28  # pitch-shifted pairs .46 and more, foreign ones below .21
LOOK_BACK, LOOK_AHEAD = 256, 512  # samples around the peak that the FIR covers
EXCERPT_S = 120.0


class Alignment(NamedTuple):
    """How a wet recording lies against its dry."""

    latency_samples: int  # positive: the wet comes late
    polarity: int  # -1: the wet is upside down
    correlation: float  # 0..1: of the wet with the best FIR of the dry, or of the onsets
    by: Literal["waveform", "onsets"]  # onsets: known to 20 ms only, and without polarity
    fine_samples: float | None = None  # sub-sample, of the correlation's peak; with the effect's own phase


def align(dry: Signal, wet: Signal, sample_rate: int, *, max_latency_s: float = 1.0) -> Alignment:
    """Latency and polarity of the wet (1, T) against the dry (1, T), within ±`max_latency_s`.

    A latency is never overstated: the stretch in which the response may rise unseen, 0.1 to 1.2 ms and
    more where it rises slowly, counts as the effect's own. Raises `PairError` where nothing matches,
    and `AudioError` for silence.
    """
    dry, wet = _excerpt(dry, wet, sample_rate)
    check_not_silent(dry, "the dry")
    check_not_silent(wet, "the wet")
    if min(dry.shape[-1], wet.shape[-1]) < sample_rate:
        raise PairError(
            f"a pair must last a second to be aligned; got {dry.shape[-1]} and {wet.shape[-1]} samples"
        )
    pair = correlate(dry, wet, round(max_latency_s * sample_rate), LOOK_BACK + LOOK_AHEAD)
    peak, strength = pair.strongest()
    explained = float(_shares(pair, _lags_around(peak)).sum())
    if strength >= CLEAR_STRENGTH or (strength >= MIN_STRENGTH and explained >= MIN_EXPLAINED):
        return _by_waveform(pair, _first_arrival(pair, peak), sample_rate)
    found = _by_onsets(dry, wet, sample_rate, max_latency_s)
    if found is None:
        raise PairError(
            f"dry and wet must belong together; no lag within ±{max_latency_s:g} s correlates (peak "
            f"{strength:.1f} times the mean, {MIN_STRENGTH:g} needed); give a wet that was made from this dry"
        )
    return found


def overlap(dry: Signal, wet: Signal, latency_samples: int) -> tuple[Signal, Signal]:
    """Shift the wet by its latency and cut both to their common part, (1, T) each."""
    if latency_samples >= 0:
        wet = wet[:, latency_samples:]
    else:
        dry = dry[:, -latency_samples:]
    common = min(dry.shape[-1], wet.shape[-1])
    return dry[:, :common], wet[:, :common]


def _excerpt(dry: Signal, wet: Signal, sample_rate: int) -> tuple[Signal, Signal]:
    """Two minutes from a second before the first sound on."""
    loud = np.flatnonzero(np.abs(dry[0]) > 0.01 * np.abs(dry[0]).max(initial=0.0))
    start = max(0, int(loud[0]) - sample_rate) if loud.size else 0
    cut = slice(start, start + round(EXCERPT_S * sample_rate))
    return faded(dry[:, cut], sample_rate), faded(wet[:, cut], sample_rate)


def _lags_around(peak: int) -> npt.NDArray[np.int64]:
    """Lags of a FIR around `peak`, the latest first."""
    return np.arange(peak + LOOK_AHEAD - 1, peak - LOOK_BACK - 1, -1)


def _shares(pair: Correlation, lags: npt.NDArray[np.int64]) -> Array:
    """Share of the wet's energy that each lag of a FIR explains beyond the lags before it in `lags`.

    With LLᵀ the autocorrelation matrix of those lags and p their cross-correlation, the nested least
    squares gains are the squares of L⁻¹p.
    """
    gram = pair.auto[np.abs(lags[:, None] - lags)]
    gram[np.diag_indices_from(gram)] *= 1 + 1e-6
    steps = solve_triangular(cholesky(gram, lower=True), pair.cross[lags + pair.reach], lower=True)
    return np.asarray(steps**2 / (pair.wet_energy + 1e-30), np.float64)


def _first_arrival(pair: Correlation, peak: int) -> int:
    """The peak, or the direct sound before an echo that is louder than it: what adds to the echo's FIR."""
    height = np.abs(pair.whitened[: max(pair.reach + peak - LOOK_BACK, 0)])
    floor = max(MIN_STRENGTH, 0.05 * abs(float(pair.whitened[pair.reach + peak])))
    candidates = [int(lag) - pair.reach for lag in np.flatnonzero(height >= floor)]
    if peak > LOOK_BACK:
        candidates.append(0)  # most pairs come without latency
    tested = -pair.reach
    for lag in candidates:
        if 0 <= lag - tested < LOOK_BACK // 2:
            continue
        tested = lag
        direct = np.arange(lag, min(lag + LOOK_BACK // 2, peak - LOOK_BACK))
        if _shares(pair, np.concatenate([_lags_around(peak), direct]))[-len(direct) :].sum() >= 0.02:
            return lag + int(np.argmax(np.abs(pair.whitened[direct + pair.reach])))
    return peak


def _by_waveform(pair: Correlation, peak: int, sample_rate: int) -> Alignment:
    """Latency: where the response begins to matter, less what may hide before."""
    shares = _shares(pair, _lags_around(peak))[::-1]  # the earliest lag first
    explained = min(float(shares.sum()), 1.0)
    lost = np.cumsum(shares - shares[: LOOK_BACK // 2].mean())  # to a FIR that starts after this lag
    limit = min(0.02 * (1 - explained), 0.1 * explained) + 0.0005 * explained
    onset = min(int(np.argmax(lost > limit)) - LOOK_BACK, 0) + peak
    strongest, polarity = _strongest_tap(pair, peak)
    rise_ms = min(max(strongest - onset, 0) / sample_rate * 1000, 1.0)
    guard = round((0.1 + 1.1 * (1 - explained) + rise_ms) * sample_rate / 1000)
    latency = max(onset - guard, 0) if onset >= 0 else onset - guard
    return Alignment(latency, polarity, float(np.sqrt(explained)), "waveform", pair.refined(peak))


def _strongest_tap(pair: Correlation, peak: int) -> tuple[int, int]:
    """Lag and sign of the FIR's strongest tap; a ridge silences what the dry hardly excites."""
    auto = pair.auto[: LOOK_BACK + LOOK_AHEAD].copy()
    auto[0] *= 1.01
    first = pair.reach + peak - LOOK_BACK
    taps = solve_toeplitz(auto, pair.cross[first : first + LOOK_BACK + LOOK_AHEAD])
    strongest = int(np.argmax(np.abs(taps)))
    return strongest + peak - LOOK_BACK, -1 if taps[strongest] < 0 else 1


def _by_onsets(dry: Signal, wet: Signal, sample_rate: int, max_latency_s: float) -> Alignment | None:
    """Lag of the spectral fluxes where they correlate clearly; up to 20 ms count as none."""
    hop = max(round(0.005 * sample_rate), 1)
    dry_flux, wet_flux = _flux(dry, hop), _flux(wet, hop)
    reach = round(max_latency_s * sample_rate / hop)
    size = fft.next_fast_len(max(len(dry_flux), len(wet_flux), reach + 1) + reach, real=True)
    lags = at_lags(fft.rfft(wet_flux, size) * np.conj(fft.rfft(dry_flux, size)), size, reach)
    lags /= np.linalg.norm(dry_flux) * np.linalg.norm(wet_flux) + 1e-30
    best = int(np.argmax(lags))
    if lags[best] < MIN_FLUX_CORRELATION:
        return None
    lag_hops = best - reach
    return Alignment(0 if abs(lag_hops) <= 4 else (lag_hops - 4) * hop, 1, float(lags[best]), "onsets")


def _flux(samples: Signal, hop: int) -> Array:
    """Spectral flux, one value a hop, less its mean: rises of the log spectrum of four-hop frames."""
    _, _, frames = signal.stft(samples[0], nperseg=4 * hop, noverlap=3 * hop, boundary=None, padded=False)
    magnitude = np.abs(frames)
    level = np.log1p(1000 * magnitude / (magnitude.max(initial=0.0) + 1e-30))
    flux = np.maximum(np.diff(level, axis=1), 0.0).sum(axis=0)
    return np.asarray(flux - flux.mean(), np.float64)
