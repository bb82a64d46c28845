"""Effects: wet from dry, one effect a file.

A new effect is one file and one line here.
"""

from fxcore.effects.ampcab import AmpCab
from fxcore.effects.base import Effect
from fxcore.effects.chain import Chain
from fxcore.effects.chorus import Chorus
from fxcore.effects.command import Command
from fxcore.effects.compressor import Compressor
from fxcore.effects.delay import Delay
from fxcore.effects.distortion import Distortion
from fxcore.effects.fuzz import Fuzz
from fxcore.effects.highpass import HighPass
from fxcore.effects.lowpass import LowPass
from fxcore.effects.octave import Octave
from fxcore.effects.plugin import Plugin
from fxcore.effects.reverb import Reverb
from fxcore.spec import Registry

__all__ = ["EFFECTS", "Effect"]

EFFECTS: Registry[Effect] = Registry(
    "effect",
    Distortion,
    Fuzz,
    Compressor,
    AmpCab,
    HighPass,
    LowPass,
    Octave,
    Chorus,
    Delay,
    Reverb,
    Chain,
    Plugin,
    Command,
)
