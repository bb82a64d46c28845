"""Distortion: a memoryless soft clip, wet = tanh(gain dry). It aliases, as the original does."""

from typing import Literal

from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import play


class Distortion(Effect):
    """Symmetrical, hence odd harmonics only; louder drive brings it nearer to a square wave."""

    kind: Literal["distortion"] = "distortion"
    drive_db: float = Field(25.0, ge=0.0, le=60.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return play("Distortion", dry, sample_rate, drive_db=self.drive_db)
