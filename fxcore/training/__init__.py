"""Training: windows of audio on the device, `Fit`, evaluation, playing cost, checkpoints."""

from fxcore.training.checkpoint import encode_progress, load_progress, save_progress
from fxcore.training.cost import Cost, measure_cost, predicted_cost
from fxcore.training.evaluate import Judgement, Pair, evaluate, judge, to_device
from fxcore.training.fit import Budget, Fit, Progress, Report, TrainingData

__all__ = [
    "Budget",
    "Cost",
    "Fit",
    "Judgement",
    "Pair",
    "Progress",
    "Report",
    "TrainingData",
    "encode_progress",
    "evaluate",
    "judge",
    "load_progress",
    "measure_cost",
    "predicted_cost",
    "save_progress",
    "to_device",
]
