"""Dry signals: one generator a file, and `track.py`, which strings their notes together.

A new generator is one file and one line here.
"""

from fxcore.generators.base import Generator
from fxcore.generators.chirp import Chirp
from fxcore.generators.level_sweep import LevelSweep
from fxcore.generators.noise import Noise
from fxcore.generators.pluck import Pluck
from fxcore.generators.tone import Tone
from fxcore.spec import Registry

__all__ = ["GENERATORS", "Chirp", "Generator", "LevelSweep", "Noise", "Pluck", "Tone"]

GENERATORS: Registry[Generator] = Registry("generator", Tone, Chirp, Pluck, Noise, LevelSweep)
