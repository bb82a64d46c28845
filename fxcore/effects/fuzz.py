"""Fuzz: a transistor driven hard from a bias that the playing itself shifts.

After the two-transistor pedals of the 1960s: the input capacitor charges while loud notes are
rectified, the bias moves away from the middle, the clip turns lopsided, and all of it recovers
only slowly once the note fades. So the wet depends on some tenths of a second that went before.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect, check_below_nyquist
from fxcore.effects.circuit import db_to_gain, highpass, lopsided_clip, lowpass, oversampled

OUTPUT_CUTOFF_HZ = 20.0


class Fuzz(Effect):
    """A biased, lopsided clip between two capacitors, and a tone control.

    Args:
        drive_db: gain before the clip.
        bias: where the transistor rests, in units of its clipping level.
        asymmetry: how much earlier the lower half clips.
        sag: how far the bias moves under a loud note, in the same units.
        sag_ms: time constant with which it moves and recovers.
        input_cutoff_hz: the input capacitor, a high-pass.
        tone_hz: the tone control, a low-pass.
        level_db: gain at the end.
    """

    kind: Literal["fuzz"] = "fuzz"
    drive_db: float = Field(36.0, ge=0.0, le=60.0)
    bias: float = Field(0.2, ge=-2.0, le=2.0)
    asymmetry: float = Field(0.4, ge=0.0, le=0.9)
    sag: float = Field(1.5, ge=0.0, le=5.0)
    sag_ms: float = Field(80.0, ge=1.0, le=2000.0)
    input_cutoff_hz: float = Field(80.0, ge=10.0, le=2000.0)
    tone_hz: float = Field(5000.0, ge=200.0, le=20_000.0)
    level_db: float = Field(-6.0, ge=-60.0, le=12.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        check_below_nyquist("input_cutoff_hz", self.input_cutoff_hz, sample_rate)
        check_below_nyquist("tone_hz", self.tone_hz, sample_rate)
        driven = db_to_gain(self.drive_db) * highpass(dry, self.input_cutoff_hz, sample_rate)
        driven_and_shift = np.concatenate([driven, self.shift(driven, sample_rate)])  # (2, T)
        clipped = oversampled(self.clip, driven_and_shift, sample_rate)
        toned = lowpass(highpass(clipped, OUTPUT_CUTOFF_HZ, sample_rate), self.tone_hz, sample_rate)
        return db_to_gain(self.level_db) * toned

    def shift(self, driven: Signal, sample_rate: int) -> Signal:
        """How far the bias has moved, (1, T) -> (1, T): further down, the louder the last notes were."""
        rectified = np.clip(driven, 0.0, 1.0)
        return -self.sag * lowpass(rectified, 1000 / (2 * np.pi * self.sag_ms), sample_rate)

    def clip(self, driven_and_shift: Signal, _: int) -> Signal:
        """The transistor, (2, T) -> (1, T); at rest it gives zero."""
        at_rest = np.full((1, 1), self.bias, np.float32)
        moved = driven_and_shift.sum(axis=0, keepdims=True) + at_rest
        return lopsided_clip(moved, self.asymmetry) - lopsided_clip(at_rest, self.asymmetry)
