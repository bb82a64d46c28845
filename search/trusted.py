"""Which effects compute by themselves, and which run a program that a file names."""

from collections.abc import Mapping
from typing import Any

from fxcore.effects import EFFECTS
from fxcore.effects.outside import OutsideEffect

PROGRAMS = {kind for kind in EFFECTS if issubclass(EFFECTS[kind], OutsideEffect)}


def runs_programs(settings: Any) -> bool:
    """Whether an effect's settings, or any part of them, name an effect that another program plays.

    >>> runs_programs({"kind": "chain", "effects": [{"kind": "fuzz"}, {"kind": "command", "command": "rm"}]})
    True
    """
    waiting = [settings]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, str) and part in PROGRAMS:  # as a kind, or as a whole effect: `fuzz`
            return True
    return False
