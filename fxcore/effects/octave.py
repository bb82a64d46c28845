"""Octave: shifts the pitch and keeps the time, by Rubber Band's phase vocoder.

The wet has no phase in common with the dry: judge models of it by spectra. pedalboard's `PitchShift`
splits a steady tone into two beside its pitch, and Rubber Band's finer engine drifts by milliseconds
a second; its faster engine without transient detection does neither, and its energy lies within
5 ms of the dry's.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import load_pedalboard

TAIL_SECONDS = 0.1  # silence after the dry, for what is shorter than the vocoder's window


class Octave(Effect):
    """`mix` 1 is the shifted sound alone, 0 the dry."""

    kind: Literal["octave"] = "octave"
    semitones: float = Field(-12.0, ge=-24.0, le=12.0)
    mix: float = Field(1.0, ge=0.0, le=1.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        shifted: Signal = load_pedalboard().time_stretch(
            np.pad(dry, [(0, 0), (0, round(TAIL_SECONDS * sample_rate))]),
            sample_rate,
            pitch_shift_in_semitones=self.semitones,
            high_quality=False,
            transient_mode="smooth",
            use_long_fft_window=False,
            preserve_formants=False,
        )
        return np.float32(self.mix) * shifted[:, : dry.shape[1]] + np.float32(1 - self.mix) * dry
