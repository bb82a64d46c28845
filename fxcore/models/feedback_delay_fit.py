"""Fits an echo to pairs: where it lies by a long impulse response, its filters by least squares.

    wet[n] = sum_i direct[i] dry[n - i] + echo[i] dry[n - D - i] + loop[i] wet[n - D - i]

The past wet is known, so that all three filters follow from one least squares problem (equation error).
Noise in the wet would bias it; so the pair is filtered by 1 / (1 - loop) and solved again, which turns the
error into that of a player (Steiglitz & McBride, "A technique for the identification of linear systems",
1965).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import signal

from fxcore.audio import Recording
from fxcore.least_squares import Passage, passages, solve_fir

Array = npt.NDArray[np.float64]

CANDIDATES = 4
SEARCH_S, FIT_S = 40.0, 90.0  # of the recordings
SEARCH_ITERATIONS = 12
ROUNDS = 2  # of filtering and solving again
CONTENT = 1e-9  # ESR that needs no such round
MAX_LOOP_GAIN = 0.999


class Echo(NamedTuple):
    """Filters (taps,) each, and the delay in samples before the second and the third."""

    delay_samples: int
    direct: Array
    echo: Array
    loop: Array


def fit_echo(recordings: Sequence[Recording], sample_rate: int, *, taps: int, max_delay_samples: int) -> Echo:
    """The echo that best makes each wet of its dry."""
    some = _first_seconds(recordings, SEARCH_S * sample_rate)
    found = [solve_echo(some, delay, taps) for delay in likely_delays(some, taps, max_delay_samples)]
    delay = min(found, key=lambda echo: output_error(some, echo)).delay_samples
    pairs = _first_seconds(recordings, FIT_S * sample_rate)
    best = solve_echo(pairs, delay, taps)
    error = output_error(pairs, best)
    for _ in range(ROUNDS if error > CONTENT else 0):
        again = solve_echo(pairs, delay, taps, prefilter=best.loop)
        less = output_error(pairs, again)
        if not less < error:
            break
        best, error = again, less
    return best


def likely_delays(pairs: Sequence[Passage], taps: int, max_delay_samples: int) -> list[int]:
    """Where an impulse response has most energy behind its first `taps`, leaving room before each peak."""
    shortest = max(p.inputs.shape[-1] for p in pairs)
    length = min(max_delay_samples + taps, shortest // 2)
    response = solve_fir(pairs, length, iterations=SEARCH_ITERATIONS).taps[0]
    energy = np.convolve(response**2, np.ones(taps), "valid")  # from each sample on
    energy[:taps] = 0.0
    delays: list[int] = []
    while len(delays) < CANDIDATES and energy.max() > 0:
        window = int(energy.argmax())
        peak = window + int(np.abs(response[window : window + taps]).argmax())
        delays.append(min(max(peak - taps // 4, taps), max_delay_samples))
        energy[max(window - taps, 0) : window + 2 * taps] = 0.0
    return delays or [max_delay_samples]


def solve_echo(pairs: Sequence[Passage], delay: int, taps: int, prefilter: Array | None = None) -> Echo:
    """Least squares filters at a delay, of the pair itself or filtered by 1 / (1 - `prefilter`)."""
    delayed = []
    for pair in pairs:
        dry: Array = pair.inputs[0]
        wet: Array = np.asarray(pair.target, np.float64)
        if prefilter is not None:
            dry, wet = echoed(dry, prefilter, delay), echoed(wet, prefilter, delay)
        inputs = np.stack([dry, late(dry, delay), late(wet, delay)])
        first = 0 if pair.after_silence else min(delay, len(dry) // 2)
        delayed.append(Passage(inputs[:, first:], wet[first:], pair.after_silence))
    direct, echo, loop = solve_fir(delayed, taps).taps
    gain = np.abs(np.fft.rfft(loop, 8 * taps)).max()
    return Echo(delay, direct, echo, loop * min(1.0, MAX_LOOP_GAIN / (gain + 1e-30)))


def output_error(pairs: Sequence[Passage], echo: Echo) -> float:
    """ESR of the wet that is played from the dry alone."""
    error, energy = 0.0, 1e-30
    for pair in pairs:
        dry: Array = pair.inputs[0]
        sent = signal.oaconvolve(dry, echo.direct)[: len(dry)]
        sent += signal.oaconvolve(late(dry, echo.delay_samples), echo.echo)[: len(dry)]
        pred = echoed(sent, echo.loop, echo.delay_samples)
        first = 0 if pair.after_silence else len(dry) // 2
        error += float(np.sum((pair.target - pred)[first:] ** 2))
        energy += float(np.sum(pair.target[first:] ** 2))
    return error / energy


def echoed(line: Array, loop: Array, delay: int) -> Array:
    """A line (T,) through 1 / (1 - z^-delay loop), a delay at a time."""
    past = np.zeros(delay + len(loop) - 1)
    result = np.concatenate([past, line])
    for start in range(len(past), len(result), delay):
        heard = result[start - len(past) : start]
        block = result[start : start + delay]
        block += np.convolve(heard, loop, "valid")[: len(block)]
    return result[len(past) :]


def late(line: Array, delay: int) -> Array:
    """A line (T,) after silence of `delay` samples, as long as it was."""
    return np.concatenate([np.zeros(delay), line])[: len(line)]


def _first_seconds(recordings: Sequence[Recording], samples: float) -> list[Passage]:
    """The beginnings of all recordings, about `samples` together."""
    each = max(1, int(samples / len(recordings)))
    return passages([r._replace(dry=r.dry[:, :each], wet=r.wet[:, :each]) for r in recordings])
