"""Frequency response and harmonic distortion, from one exponential sine sweep.

Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine technique" (AES 108,
2000): what is played back, deconvolved by the sweep, holds the linear response at time zero, and the response
of each harmonic before it, n-th by L·ln(n) where L is the time in which the sweep rises by a factor of e.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from fxcore.audio import Signal

SECONDS = 4.0
LOWEST_HZ = 20.0
HIGHEST_SHARE = 0.45  # of the sample rate
TOP_SHARE = 0.95  # of the highest frequency: at the sweep's very end nothing can be told
HARMONICS = range(2, 6)
PRE_SECONDS = 0.01  # before each response, where filters ring
TAIL_SECONDS = 0.5  # of the linear response
POINTS = 160
SMOOTHING_OCTAVES = 1 / 12
FLOOR = 1e-9  # of the sweep's power: where it has none, nothing is told

Array = npt.NDArray[np.float64]


class Response(NamedTuple):
    """By frequency (Hz): the fundamental over the input (dB), and all harmonics over that (dB)."""

    frequency_hz: Array
    level_db: Array
    distortion_db: Array  # NaN where the second harmonic lies above what the sample rate holds


def measure_response(play: Callable[[Signal], Signal], sample_rate: int, amplitude: float) -> Response:
    """What `play` makes of a sweep of that amplitude, (1, T) to (1, T)."""
    sweep, rise_seconds = sine_sweep(sample_rate, amplitude)
    wet = play(sweep)
    n = fft.next_fast_len(2 * sweep.shape[-1], real=True)
    spectrum = fft.rfft(sweep[0].astype(np.float64), n)
    power = np.abs(spectrum) ** 2
    quotient = fft.rfft(wet[0].astype(np.float64), n) * spectrum.conj() / (power + FLOOR * power.max())
    response = fft.irfft(quotient, n)
    highest_hz = HIGHEST_SHARE * sample_rate
    frequency_hz = np.geomspace(1.5 * LOWEST_HZ, TOP_SHARE * highest_hz, POINTS)
    fundamental = _power(response, 0.0, TAIL_SECONDS, frequency_hz, sample_rate)
    harmonics = np.zeros(POINTS)
    for order in HARMONICS:
        early = rise_seconds * np.log(order)
        tail = early - rise_seconds * np.log(order - 1) - 2 * PRE_SECONDS
        reach = order * frequency_hz <= TOP_SHARE * highest_hz
        power_here = _power(response, -early, tail, order * frequency_hz, sample_rate)
        harmonics += np.where(reach, power_here, 0.0)
    distortion_db = _db(harmonics / np.maximum(fundamental, 1e-20))
    distortion_db[2 * frequency_hz > TOP_SHARE * highest_hz] = np.nan
    return Response(frequency_hz, _db(fundamental), distortion_db)


def sine_sweep(sample_rate: int, amplitude: float) -> tuple[Signal, float]:
    """A sweep (1, T) that rises exponentially, faded in and out, and the seconds in which it rises e-fold."""
    n = round(SECONDS * sample_rate)
    rise_seconds = SECONDS / np.log(HIGHEST_SHARE * sample_rate / LOWEST_HZ)
    time = np.arange(n) / sample_rate
    phase = 2 * np.pi * LOWEST_HZ * rise_seconds * np.expm1(time / rise_seconds)
    fade_in, fade_out = round(0.05 * sample_rate), round(0.002 * sample_rate)
    envelope = np.ones(n)
    envelope[:fade_in] = _ramp(fade_in)
    envelope[-fade_out:] = _ramp(fade_out)[::-1]
    silence = np.zeros(round(TAIL_SECONDS * sample_rate))  # in which echoes end
    return np.concatenate([amplitude * envelope * np.sin(phase), silence]).astype(np.float32)[
        None
    ], rise_seconds


def _power(response: Array, at_seconds: float, tail_seconds: float, at_hz: Array, sample_rate: int) -> Array:
    """Power of the part of a circular response that begins there, averaged around each frequency."""
    pre, tail = round(PRE_SECONDS * sample_rate), round(tail_seconds * sample_rate)
    start = round(at_seconds * sample_rate) - pre
    part = np.take(response, np.arange(start, start + pre + tail), mode="wrap")
    fade_in, fade_out = pre // 2, tail // 4
    part[:fade_in] *= _ramp(fade_in)
    part[-fade_out:] *= _ramp(fade_out)[::-1]
    n = fft.next_fast_len(max(len(part), sample_rate // 2), real=True)
    power = np.abs(fft.rfft(part, n)) ** 2
    total = np.concatenate([[0.0], np.cumsum(power)])
    half = 2 ** (SMOOTHING_OCTAVES / 2)
    low = np.clip(np.round(at_hz / half * n / sample_rate).astype(int), 0, len(power) - 1)
    high = np.clip(np.round(at_hz * half * n / sample_rate).astype(int) + 1, low + 1, len(power))
    mean: Array = (total[high] - total[low]) / (high - low)
    return mean


def _ramp(n: int) -> Array:
    """Half a Hann window, from 0 to nearly 1."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / max(n, 1))


def _db(power: Array) -> Array:
    return 10 * np.log10(np.maximum(power, 1e-15))
