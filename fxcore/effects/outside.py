"""What effects played by other programs share: they come late, settle slowly, and may fail in every way.

Hosts and plug-ins rarely report their latency, so an impulse measures it. What was set glides to its value
after the start (ZamDelay's echoes, ZamTube's valves: wrong by an ESR of 0.7 to 1 at once, right after half a
second), so silence goes first.
"""

from abc import abstractmethod
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import Field

from fxcore.audio import SILENCE_DBFS, Signal, peak_dbfs
from fxcore.effects.base import Effect
from fxcore.errors import EffectError

REACH_SECONDS = 0.25  # a latency beyond it may as well be an echo
IMPULSE = 0.5  # full scale clips in hosts that count in integers
ONSET = 1e-3  # of the response's peak: it begins there
AUDIBLE = 1e-4  # full scale


class OutsideEffect(Effect):
    """An effect that another program plays.

    Args:
        pre_roll_ms: silence played first, in which the effect settles; cut off again.
        post_roll_ms: silence played last, for a host that cuts the end short; cut off again.
        latency_samples: how late the wet comes, negative if early; measured where not given. Give 0 to
            keep the one echo of a delay without direct sound, or the whole swing of a vibrato.
        timeout_seconds: how long the program may take.
    """

    pre_roll_ms: float = Field(500.0, ge=0.0, le=60_000.0)
    post_roll_ms: float = Field(0.0, ge=0.0, le=60_000.0)
    latency_samples: int | None = Field(None, ge=-1_000_000, le=1_000_000)
    timeout_seconds: float = Field(600.0, gt=0.0, le=86_400.0)

    def __hash__(self) -> int:  # dicts among the settings have none
        return hash(self.digest())

    @property
    @abstractmethod
    def title(self) -> str:
        """What error messages call the program."""

    @abstractmethod
    def play(self, dry: Signal, sample_rate: int) -> Signal:
        """What the program makes of a dry (1, T): (1, any length), late or early as it comes."""

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return self.play_aligned(dry, sample_rate, self.latency(sample_rate))

    def as_played(self, sample_rate: int) -> dict[str, Any]:
        return {**super().as_played(sample_rate), "latency_samples": self.latency(sample_rate)}

    def latency(self, sample_rate: int) -> int:
        """Samples by which the wet comes late, negative if early: as given, else as measured once."""
        return measure_latency(self, sample_rate) if self.latency_samples is None else self.latency_samples

    def play_aligned(self, dry: Signal, sample_rate: int, latency_samples: int) -> Signal:
        """The wet (1, T) between the silences, a latency removed."""
        before = round(self.pre_roll_ms / 1000 * sample_rate) + max(-latency_samples, 0)
        after = round(self.post_roll_ms / 1000 * sample_rate) + max(latency_samples, 0)
        played = np.pad(dry, [(0, 0), (before, after)])
        heard = self.play(played, sample_rate)
        wet = heard[:, before + latency_samples :][:, : dry.shape[1]]
        if wet.shape != dry.shape:
            raise EffectError(
                f"{self.title} must keep the length of what it plays, {played.shape[1]} samples; it gave "
                f"{heard.shape[1]}; set channels: 2 for a plug-in with two inputs, or raise post_roll_ms"
            )
        if not heard.any() and peak_dbfs(dry) >= SILENCE_DBFS:
            raise EffectError(f"{self.title} gave silence; check its levels, inputs and outputs")
        return wet


@lru_cache(maxsize=256)
def measure_latency(effect: OutsideEffect, sample_rate: int) -> int:
    """Where the response to an impulse rises out of the noise before it, in samples, negative if early.

    Raises `EffectError` where nothing is heard, or later than a quarter of a second.
    """
    reach = round(REACH_SECONDS * sample_rate)
    impulse = np.zeros((1, 4 * reach), np.float32)
    impulse[0, reach] = IMPULSE
    # As if the wet came as early as possible, an impulse without latency lies at 2 reach.
    response = effect.play_aligned(impulse, sample_rate, -reach)[0]
    magnitude = np.abs(response - np.median(response[:reach]))
    peak, noise = magnitude.max(), magnitude[:reach].max()
    threshold = max(ONSET * peak, 3 * noise)
    if not peak > max(threshold, AUDIBLE):
        raise EffectError(
            f"{effect.title} must answer an impulse above its noise to tell its latency; "
            f"it peaked at {peak:.2g} of full scale over noise at {noise:.2g}; give latency_samples"
        )
    latency = int(np.argmax(magnitude > threshold)) - 2 * reach
    if latency > reach:
        raise EffectError(
            f"{effect.title} answered an impulse {1000 * latency / sample_rate:.0f} ms late, which may be an "
            f"echo; give latency_samples: 0 to keep it, or {latency} to remove it"
        )
    return latency
