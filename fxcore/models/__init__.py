"""Model families: one file and one line in `FAMILIES` each."""

from fxcore.models.base import EffectModel, ModelSpec, Nature, State, TrainingSpec
from fxcore.models.conv import ConvSpec
from fxcore.models.dynamics import DynamicsSpec
from fxcore.models.feedback_delay import FeedbackDelaySpec
from fxcore.models.fir import FirSpec
from fxcore.models.gru import GruSpec
from fxcore.models.hammerstein import HammersteinSpec
from fxcore.models.lstm import LstmSpec
from fxcore.models.modulated_delay import ModulatedDelaySpec
from fxcore.models.nam_wavenet import NamWaveNetSpec
from fxcore.models.outputs import OUTPUTS, Output
from fxcore.models.pitch_shift import PitchShiftSpec
from fxcore.models.presets import PRESETS
from fxcore.models.s4d import S4dSpec
from fxcore.models.wavenet import WaveNetSpec
from fxcore.models.wiener_hammerstein import WienerHammersteinSpec
from fxcore.spec import Registry

FAMILIES: Registry[ModelSpec] = Registry(
    "family",
    ConvSpec,
    DynamicsSpec,
    FirSpec,
    FeedbackDelaySpec,
    GruSpec,
    HammersteinSpec,
    LstmSpec,
    ModulatedDelaySpec,
    NamWaveNetSpec,
    PitchShiftSpec,
    S4dSpec,
    WaveNetSpec,
    WienerHammersteinSpec,
)

__all__ = [
    "FAMILIES",
    "OUTPUTS",
    "PRESETS",
    "EffectModel",
    "ModelSpec",
    "Nature",
    "Output",
    "State",
    "TrainingSpec",
]
