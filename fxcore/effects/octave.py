"""Octave: shifts the pitch and keeps the time, by Rubber Band's phase vocoder.

The wet has no phase in common with the dry: judge models of it by spectra. pedalboard's `PitchShift`
splits a steady tone into two beside its pitch, and Rubber Band's finer engine drifts by milliseconds
a second; its faster engine without transient detection does neither.

Given a whole file, Rubber Band puts the energy of the wet where the dry's is, and a note is then heard before
it starts: at 44.1 kHz, an octave down at -16 dB 15 ms before, at -42 dB 20 ms before, at -58 dB 25 ms before.
No pedal can do so, nor any model that plays live; so the shifted sound comes later, as theirs does.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import load_pedalboard

TAIL_SECONDS = 0.1  # silence after the dry, for what is shorter than the vocoder's window


class Octave(Effect):
    """`mix` 1 is the shifted sound alone, 0 the dry, which is not delayed.

    Under 25 ms of delay, an octave down sounds before its dry does.
    """

    kind: Literal["octave"] = "octave"
    semitones: float = Field(-12.0, ge=-24.0, le=12.0)
    mix: float = Field(1.0, ge=0.0, le=1.0)
    delay_ms: float = Field(25.0, ge=0.0, le=100.0)

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
        delayed = np.pad(shifted, [(0, 0), (round(self.delay_ms / 1000 * sample_rate), 0)])
        return np.float32(self.mix) * delayed[:, : dry.shape[1]] + np.float32(1 - self.mix) * dry
