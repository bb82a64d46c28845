"""Model families: one file and one line in `FAMILIES` each."""

from fxcore.models.base import EffectModel, ModelSpec, State, TrainingSpec
from fxcore.models.conv import ConvSpec
from fxcore.models.lstm import LstmSpec
from fxcore.models.outputs import OUTPUTS, Output
from fxcore.models.wavenet import WaveNetSpec
from fxcore.spec import Registry

FAMILIES: Registry[ModelSpec] = Registry("family", ConvSpec, LstmSpec, WaveNetSpec)

__all__ = ["FAMILIES", "OUTPUTS", "EffectModel", "ModelSpec", "Output", "State", "TrainingSpec"]
