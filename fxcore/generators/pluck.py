"""Plucked strings: Karplus & Strong (1983), tuned by Lagrange interpolation (Jaffe & Smith, 1983).

A burst of noise, one period long, goes round a delay line of one period. Each trip averages
neighbouring samples, so that high partials die first, as on a string. The half sample that the
average takes and the fraction of a sample that the period needs belong to the loop's length.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field
from scipy import fft

from fxcore.audio import Signal
from fxcore.generators.base import NOTES_HZ, FrequencyRange, Generator, as_signal, log_uniform, rising

Seconds = Annotated[float, Field(ge=0.05, le=60.0)]


class Pluck(Generator):
    """A string of random pitch, plucked at a random place, that rings for a random time."""

    kind: Literal["pluck"] = "pluck"
    frequency_hz: FrequencyRange = NOTES_HZ
    t60_seconds: Annotated[tuple[Seconds, Seconds], AfterValidator(rising)] = (0.5, 8.0)  # to -60 dB

    def render(self, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
        frequency_hz = log_uniform(self.frequency_hz, rng)
        t60_seconds = log_uniform(self.t60_seconds, rng)
        burst = rng.uniform(-1.0, 1.0, max(2, round(sample_rate / frequency_hz)))
        burst -= np.roll(burst, round(rng.uniform(0.1, 0.5) * len(burst)))  # where it is plucked; no DC
        string = comb(burst, loop(frequency_hz, t60_seconds, sample_rate), n_samples)
        return as_signal(string / np.abs(string).max(initial=1e-12))


def loop(frequency_hz: float, t60_seconds: float, sample_rate: int) -> npt.NDArray[np.float64]:
    """Impulse response of one trip round a string's loop: whole samples of delay, then five taps."""
    length = sample_rate / frequency_hz - 0.5  # the average takes the other half sample
    delay_samples = max(1, int(length) - 1)
    fraction = length - delay_samples  # 1..2, where cubic interpolation never amplifies
    points = range(4)
    lagrange = [np.prod([(fraction - p) / (at - p) for p in points if p != at]) for at in points]
    loss = 10 ** (-3 / (t60_seconds * frequency_hz))  # a trip, so that t60_seconds of them make -60 dB
    return np.append(np.zeros(delay_samples), loss * np.convolve(lagrange, [0.5, 0.5]))


def comb(
    burst: npt.NDArray[np.float64], feedback: npt.NDArray[np.float64], n_samples: int
) -> npt.NDArray[np.float64]:
    """What comes of a burst that goes round and round through the feedback's FIR, (n_samples,).

    The same as `scipy.signal.lfilter([1], [1, -feedback[1], ..], burst)`, at a cost that the delay
    does not raise: a division of spectra, 1 / (1 - feedback), taken on a circle outside the unit
    circle. There the response decays by 140 dB over the transform, so that nothing wraps around.
    """
    size = fft.next_fast_len(n_samples, real=True)
    damping = 10 ** (-7 / size * np.arange(n_samples))
    burst, feedback = burst[:n_samples], feedback[:n_samples]
    loop = fft.rfft(feedback * damping[: len(feedback)], size)
    spectrum = fft.rfft(burst * damping[: len(burst)], size) / (1.0 - loop)
    response: npt.NDArray[np.float64] = fft.irfft(spectrum, size)[:n_samples] / damping
    return response
