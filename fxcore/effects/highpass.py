"""High-pass: takes away the bass below its cutoff, 6 dB an octave (first order)."""

from typing import Literal

from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect, check_below_nyquist
from fxcore.effects.pedalboard_host import play


class HighPass(Effect):
    """At the cutoff the wet lies 3 dB below the dry."""

    kind: Literal["highpass"] = "highpass"
    cutoff_hz: float = Field(200.0, ge=10.0, le=20_000.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        check_below_nyquist("cutoff_hz", self.cutoff_hz, sample_rate)
        return play("HighpassFilter", dry, sample_rate, cutoff_frequency_hz=self.cutoff_hz)
