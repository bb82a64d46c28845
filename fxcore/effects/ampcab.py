"""Amplifier and cabinet: valve stages in a row, tone controls, and a loudspeaker's impulse response.

Each stage amplifies, clips lopsidedly and turns the signal over, so that the next one clips the
other half harder; capacitors between them take away DC and bass, and stray capacitance the treble.
"""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy import signal

from fxcore.audio import Signal
from fxcore.effects.base import Effect, check_below_nyquist
from fxcore.effects.cabinet import Response, read_response, synthetic_response
from fxcore.effects.circuit import db_to_gain, highpass, lopsided_clip, lowpass, oversampled

COUPLING_HZ = 90.0
STRAY_HZ = 9000.0
BASS_HZ = 150.0
TREBLE_HZ = 2500.0


class AmpCab(Effect):
    """An amplifier played through a cabinet.

    Args:
        drive_db: gain of all stages together.
        stages: how many valves.
        asymmetry: how much earlier the lower half clips.
        bass_db: shelf below 150 Hz.
        treble_db: shelf above 2.5 kHz.
        cabinet: path of an impulse response; without one, a synthetic closed box.
        level_db: gain at the end, where a cabinet's favourite frequency passes at 0 dB.
    """

    kind: Literal["ampcab"] = "ampcab"
    drive_db: float = Field(36.0, ge=0.0, le=80.0)
    stages: int = Field(3, ge=1, le=6)
    asymmetry: float = Field(0.3, ge=0.0, le=0.9)
    bass_db: float = Field(0.0, ge=-15.0, le=15.0)
    treble_db: float = Field(0.0, ge=-15.0, le=15.0)
    cabinet: str | None = None
    level_db: float = Field(-6.0, ge=-60.0, le=12.0)

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        check_below_nyquist("the treble control", TREBLE_HZ, sample_rate)
        toned = self.tone(oversampled(self.amplify, dry, sample_rate), sample_rate)
        wet = signal.oaconvolve(toned, self.response(sample_rate)[None], axes=-1)[:, : dry.shape[1]]
        return (db_to_gain(self.level_db) * wet).astype(np.float32)

    def response(self, sample_rate: int) -> Response:
        """The cabinet's impulse response (T,)."""
        if self.cabinet is None:
            return synthetic_response(sample_rate)
        return read_response(self.cabinet, sample_rate)

    def amplify(self, dry: Signal, sample_rate: int) -> Signal:
        """The valves, (1, T) -> (1, T)."""
        stage_gain = db_to_gain(self.drive_db / self.stages)
        amplified = dry
        for _ in range(self.stages):
            driven = stage_gain * highpass(amplified, COUPLING_HZ, sample_rate)
            amplified = -lowpass(lopsided_clip(driven, self.asymmetry), STRAY_HZ, sample_rate)
        return amplified

    def tone(self, amplified: Signal, sample_rate: int) -> Signal:
        """Two first-order shelves, (1, T) -> (1, T)."""
        bass = (db_to_gain(self.bass_db) - 1.0) * lowpass(amplified, BASS_HZ, sample_rate)
        treble = (db_to_gain(self.treble_db) - 1.0) * highpass(amplified, TREBLE_HZ, sample_rate)
        toned: Signal = amplified + bass + treble
        return toned
