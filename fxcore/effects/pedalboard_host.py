"""Plays Spotify's pedalboard processors (JUCE and Rubber Band). GPL-3, hence optional and imported late."""

import importlib
from typing import Any

from fxcore.audio import Signal
from fxcore.errors import EffectError


def play(processor: str, dry: Signal, sample_rate: int, **settings: float) -> Signal:
    """The wet (1, T) of a fresh pedalboard processor, so that nothing is left from an earlier call.

    Raises `EffectError` where pedalboard is not installed.
    """
    wet: Signal = getattr(_pedalboard(), processor)(**settings)(dry, sample_rate)
    return wet


def _pedalboard() -> Any:
    try:
        return importlib.import_module("pedalboard")
    except ImportError:
        raise EffectError(
            "this effect needs pedalboard, which is not installed; pip install 'fxsearch[effects]'"
        ) from None
