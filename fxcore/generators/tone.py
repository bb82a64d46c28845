"""Sustained notes: sine, square and sawtooth, free of aliasing.

One period is summed from its Fourier series up to half the sample rate, then read round and round
with linear interpolation (wavetable synthesis). At 16,384 points a period, what interpolation adds
stays some 80 dB below the note.
"""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import fft

from fxcore.audio import Signal
from fxcore.generators.base import NOTES_HZ, FrequencyRange, Generator, as_signal, log_uniform

Waveform = Literal["sine", "square", "sawtooth"]

TABLE_SAMPLES = 16_384


class Tone(Generator):
    """A note of random pitch, phase and waveform."""

    kind: Literal["tone"] = "tone"
    waveforms: Annotated[tuple[Waveform, ...], Field(min_length=1)] = ("sine", "square", "sawtooth")
    frequency_hz: FrequencyRange = NOTES_HZ

    def render(self, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
        waveform = self.waveforms[rng.integers(len(self.waveforms))]
        frequency_hz = log_uniform(self.frequency_hz, rng)
        return periodic(waveform, frequency_hz, rng.uniform(), n_samples, sample_rate)


def periodic(
    waveform: Waveform, frequency_hz: float, phase_cycles: float, n_samples: int, sample_rate: int
) -> Signal:
    """A steady band-limited waveform (1, n_samples) with its peak at full scale."""
    table = one_period(waveform, harmonics=max(1, int(0.4999 * sample_rate / frequency_hz)))
    position = TABLE_SAMPLES * (phase_cycles + frequency_hz / sample_rate * np.arange(n_samples))
    whole = position.astype(np.int64)
    left = whole % TABLE_SAMPLES
    return as_signal(table[left] + (position - whole) * (table[left + 1] - table[left]))


def one_period(waveform: Waveform, harmonics: int) -> npt.NDArray[np.float64]:
    """The waveform's first harmonics over one period, peak 1, its first point repeated at the end."""
    order = np.arange(1, harmonics + 1)
    amplitude = {
        "sine": (order == 1) * 1.0,
        "square": (order % 2) / order,
        "sawtooth": 1.0 / order,
    }[waveform]
    spectrum = np.zeros(TABLE_SAMPLES // 2 + 1, np.complex128)
    spectrum[1 : harmonics + 1] = -1j * amplitude  # sines
    period = fft.irfft(spectrum)
    period /= np.abs(period).max()
    return np.append(period, period[0])
