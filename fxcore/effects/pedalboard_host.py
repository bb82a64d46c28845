"""Plays Spotify's pedalboard processors (JUCE and Rubber Band). GPL-3, hence optional and imported late."""

import importlib
from typing import Any

from fxcore.audio import Signal
from fxcore.errors import EffectError


def play(processor: str, dry: Signal, sample_rate: int, **settings: float) -> Signal:
    """The wet (1, T) of a fresh pedalboard processor, so that nothing is left from an earlier call."""
    wet: Signal = getattr(load_pedalboard(), processor)(**settings)(dry, sample_rate)
    return wet


def load_pedalboard() -> Any:
    """The module; raises `EffectError` where it is not installed."""
    try:
        return importlib.import_module("pedalboard")
    except ImportError:
        raise EffectError(
            "this effect needs pedalboard, which is not installed; pip install 'fxsearch[effects]'"
        ) from None
