"""Delay: echoes at even distances, each softer than the one before by the feedback."""

from typing import Literal

from pydantic import Field

from fxcore.audio import Signal
from fxcore.effects.base import Effect
from fxcore.effects.pedalboard_host import play


class Delay(Effect):
    """wet = (1 - mix) dry + mix (echo 1 + feedback echo 2 + ..), a whole number of samples apart."""

    kind: Literal["delay"] = "delay"
    delay_seconds: float = Field(0.3, ge=0.001, le=30.0)
    feedback: float = Field(0.3, ge=0.0, le=0.99)
    mix: float = Field(0.5, ge=0.0, le=1.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return play(
            "Delay",
            dry,
            sample_rate,
            delay_seconds=self.delay_seconds,
            feedback=self.feedback,
            mix=self.mix,
        )
