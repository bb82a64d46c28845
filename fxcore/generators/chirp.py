"""Chirps: a sine that glides between two random frequencies, there and back, at a random speed."""

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from fxcore.audio import Signal
from fxcore.generators.base import NOTES_HZ, FrequencyRange, Generator, as_signal, log_uniform, rising

PerSecond = Annotated[float, Field(ge=0.01, le=50.0)]


class Chirp(Generator):
    """Every octave of the glide takes the same time."""

    kind: Literal["chirp"] = "chirp"
    frequency_hz: FrequencyRange = NOTES_HZ
    glides_per_second: Annotated[tuple[PerSecond, PerSecond], AfterValidator(rising)] = (0.25, 8.0)

    def render(self, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
        start_hz = log_uniform(self.frequency_hz, rng)
        end_hz = log_uniform(self.frequency_hz, rng)
        glides = log_uniform(self.glides_per_second, rng) * np.arange(n_samples) / sample_rate
        way = 1.0 - np.abs(glides % 2.0 - 1.0)  # 0 at the start, 1 at the end, 0 again
        frequency_hz = start_hz * (end_hz / start_hz) ** way
        phase = 2 * np.pi * (rng.uniform() + np.cumsum(frequency_hz) / sample_rate)
        return as_signal(np.sin(phase))
