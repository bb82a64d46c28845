"""Reverb: Freeverb (Jezar at Dreampoint, 2000), eight comb filters and four all-passes. Linear."""

from typing import Literal

from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import play


class Reverb(Effect):
    """Room and damping from none to most; a `dry_level` of 0.5 passes the dry as it is."""

    kind: Literal["reverb"] = "reverb"
    room_size: float = Field(0.5, ge=0.0, le=1.0)
    damping: float = Field(0.5, ge=0.0, le=1.0)
    wet_level: float = Field(0.33, ge=0.0, le=1.0)
    dry_level: float = Field(0.4, ge=0.0, le=1.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return play(
            "Reverb",
            dry,
            sample_rate,
            room_size=self.room_size,
            damping=self.damping,
            wet_level=self.wet_level,
            dry_level=self.dry_level,
        )
