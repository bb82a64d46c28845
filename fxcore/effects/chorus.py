"""Chorus: adds a copy whose delay swings up and down, slowly; also flanger and vibrato.

The swing is a sine that starts anew with every call: the wet depends on where in time the dry
begins, not on the dry alone.
"""

from typing import Literal

from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import play


class Chorus(Effect):
    """wet = (1 - mix) dry + mix delayed. Short delay and strong feedback: flanger; `mix` 1: vibrato."""

    kind: Literal["chorus"] = "chorus"
    rate_hz: float = Field(1.0, ge=0.01, le=100.0)
    depth: float = Field(0.25, ge=0.0, le=1.0)
    centre_delay_ms: float = Field(7.0, ge=1.0, le=100.0)
    feedback: float = Field(0.0, ge=-0.95, le=0.95)
    mix: float = Field(0.5, ge=0.0, le=1.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return play(
            "Chorus",
            dry,
            sample_rate,
            rate_hz=self.rate_hz,
            depth=self.depth,
            centre_delay_ms=self.centre_delay_ms,
            feedback=self.feedback,
            mix=self.mix,
        )
