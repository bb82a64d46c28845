"""Level sweeps: a sine whose level rises evenly in decibels, through every level an effect can meet."""

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from fxcore.audio import Signal
from fxcore.generators.base import NOTES_HZ, FrequencyRange, Generator, as_signal, log_uniform, rising

Dbfs = Annotated[float, Field(ge=-120.0, le=0.0)]


class LevelSweep(Generator):
    """A sine of random pitch, from the lower level at its first sample to the higher at its last."""

    kind: Literal["level_sweep"] = "level_sweep"
    frequency_hz: FrequencyRange = NOTES_HZ
    level_dbfs: Annotated[tuple[Dbfs, Dbfs], AfterValidator(rising)] = (-60.0, 0.0)

    def render(self, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
        frequency_hz = log_uniform(self.frequency_hz, rng)
        phase = 2 * np.pi * (rng.uniform() + frequency_hz / sample_rate * np.arange(n_samples))
        level = np.logspace(self.level_dbfs[0] / 20, self.level_dbfs[1] / 20, n_samples)
        return as_signal(level * np.sin(phase))
