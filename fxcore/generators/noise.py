"""Noise bursts: every frequency at once, with hard edges and digital silence between them."""

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from fxcore.audio import Signal
from fxcore.generators.base import Generator, as_signal, rising

Milliseconds = Annotated[float, Field(ge=1.0, le=10_000.0)]
MillisecondRange = Annotated[tuple[Milliseconds, Milliseconds], AfterValidator(rising)]


class Noise(Generator):
    """White noise of uniform distribution, in bursts of random length; it opens with a burst."""

    kind: Literal["noise"] = "noise"
    burst_ms: MillisecondRange = (20.0, 400.0)
    pause_ms: MillisecondRange = (5.0, 200.0)

    def render(self, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
        rounds = 1 + int(1000 * n_samples / sample_rate / (self.burst_ms[0] + self.pause_ms[0]))
        lengths_ms = np.stack(
            [rng.uniform(*self.burst_ms, rounds), rng.uniform(*self.pause_ms, rounds)], axis=1
        )
        lengths = np.ceil(lengths_ms * sample_rate / 1000).astype(np.int64)
        sounding = np.repeat(np.tile([True, False], rounds), lengths.ravel())[:n_samples]
        noise = rng.uniform(-1.0, 1.0, n_samples)
        return as_signal(np.where(sounding, noise, 0.0))
