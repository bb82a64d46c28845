"""Modules that compute what ours do, in operations that a program can hold: one file and one line each.

Tracing follows tensors of unknown length through plain operations. It cannot follow loops over blocks,
NumPy, or complex numbers.
"""

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from fxcore.export.twins.cells import WholeCells, stand_ins
from fxcore.export.twins.conv import ShiftedMaxima
from fxcore.export.twins.dynamics import ScannedDynamics
from fxcore.export.twins.feedback_delay import ShortBlockDelay
from fxcore.export.twins.filters import PlainFilters
from fxcore.export.twins.modulated_delay import ScannedDelay
from fxcore.export.twins.pitch_shift import FramedShift
from fxcore.export.twins.s4d import RealS4d
from fxcore.export.twins.tail import DirectTail
from fxcore.models import EffectModel
from fxcore.models.conv import ConvNet
from fxcore.models.dynamics import Dynamics
from fxcore.models.feedback_delay import FeedbackDelay
from fxcore.models.long_convolution import Filters
from fxcore.models.modulated_delay import ModulatedDelay
from fxcore.models.pitch_shift import PitchShift
from fxcore.models.s4d import S4dNet
from fxcore.models.tail import Tail

MODELS: dict[type[EffectModel], Callable[[Any], EffectModel]] = {
    ConvNet: ShiftedMaxima,
    Dynamics: ScannedDynamics,
    FeedbackDelay: ShortBlockDelay,
    ModulatedDelay: ScannedDelay,
    PitchShift: FramedShift,
    S4dNet: RealS4d,
}
MODULES: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    Filters: PlainFilters,
    Tail: DirectTail,
    nn.GRU: WholeCells,
    nn.LSTM: WholeCells,
}

__all__ = ["stand_ins", "twin"]


def twin(model: EffectModel) -> EffectModel:
    """A copy of the model that can be traced, on the CPU, without gradients; it plays the same."""
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    if type(model) in MODELS:
        model = MODELS[type(model)](model)
    for name, module in list(model.named_modules()):
        if type(module) in MODULES:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, MODULES[type(module)](module))
    return model.eval()
