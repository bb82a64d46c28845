"""What a generator of dry notes is, and the ranges from which notes are drawn."""

from abc import ABC, abstractmethod
from typing import Annotated, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from fxcore.audio import Signal
from fxcore.spec import Spec

Number = TypeVar("Number", int, float)


class Generator(Spec, ABC):
    """A kind of note. Every rendering is another note, drawn from the random generator given."""

    kind: str

    @abstractmethod
    def render(self, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
        """One note (1, n_samples), its peak at or below full scale.

        A pure function of the spec and the state of `rng`; notes start and end without a fade.
        """


def rising(limits: tuple[Number, Number]) -> tuple[Number, Number]:
    """Refuse a range whose ends are swapped."""
    low, high = limits
    if low > high:
        raise ValueError(f"a range goes from low to high; got {low:g} to {high:g}; swap them")
    return limits


Hertz = Annotated[float, Field(ge=20.0, le=2000.0)]
FrequencyRange = Annotated[tuple[Hertz, Hertz], AfterValidator(rising)]
NOTES_HZ = (80.0, 1200.0)  # a guitar's open low string to its highest frets, as in McCool (2018)


def log_uniform(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """A random number between the limits, any octave as likely as any other."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def as_signal(samples: npt.NDArray[np.float64]) -> Signal:
    """Samples (T,) as a float32 signal (1, T)."""
    return samples.astype(np.float32)[None]
