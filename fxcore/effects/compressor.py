"""Compressor: turns loud passages down, by a peak detector with attack and release.

A steady level L above the threshold H leaves at H (L/H)^(1/ratio).
"""

from typing import Literal

from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import play


class Compressor(Effect):
    """Hard knee, no make-up gain; levels are those of single samples, in dBFS."""

    kind: Literal["compressor"] = "compressor"
    threshold_db: float = Field(-24.0, ge=-80.0, le=0.0)
    ratio: float = Field(4.0, ge=1.0, le=100.0)
    attack_ms: float = Field(5.0, ge=0.0, le=1000.0)
    release_ms: float = Field(100.0, ge=0.0, le=10_000.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return play(
            "Compressor",
            dry,
            sample_rate,
            threshold_db=self.threshold_db,
            ratio=self.ratio,
            attack_ms=self.attack_ms,
            release_ms=self.release_ms,
        )
