"""Judge a model on whole recordings with the one fixed metric set."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fxcore.audio import Recording, Signal
from fxcore.metrics import measure
from fxcore.models import EffectModel

SETTLE_SAMPLES = 4096  # heard but not judged: of a recording that was played from its start,
SETTLE_CUT_SAMPLES = (
    48_000  # and of one cut out of a longer one, which starts with the tail of what came before
)
COLLAPSED_ENERGY = 1e-4  # of the wet's, both about their means: 40 dB below it


class Pair(NamedTuple):
    """Dry and wet of one recording on a device, (1, 1, T) each."""

    dry: Tensor
    wet: Tensor
    start_sample: int = 0


class Judgement(NamedTuple):
    """How a model fares on some recordings."""

    metrics: dict[str, float]
    collapsed: bool  # whether its output is as good as constant, where the wet is not


def to_device(recordings: Sequence[Recording], device: torch.device | str = "cpu") -> list[Pair]:
    """Copy recordings to a device, once for all evaluations."""

    def tensor(signal: Signal) -> Tensor:
        return torch.from_numpy(np.array(signal, np.float32))[None].to(device)

    return [Pair(tensor(r.dry), tensor(r.wet), r.start_sample) for r in recordings]


def settle_samples(length: int, start_sample: int = 0) -> int:
    """How much of a recording of `length` samples is heard but not judged."""
    return min(SETTLE_CUT_SAMPLES if start_sample else SETTLE_SAMPLES, length // 4)


def evaluate(model: EffectModel, pairs: Sequence[Pair], sample_rate: int) -> dict[str, float]:
    """Every metric over all pairs, sums divided once; each is played after silence."""
    return judge(model, pairs, sample_rate).metrics


def judge(model: EffectModel, pairs: Sequence[Pair], sample_rate: int) -> Judgement:
    """As `evaluate`, and whether the model has collapsed: a loss may be lowest for no sound at all."""
    energies = torch.zeros(2, dtype=torch.float64)  # of pred and wet, about each recording's mean

    def judged(pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
        settle = settle_samples(pair.dry.shape[-1], pair.start_sample)
        dry, wet, pred = (
            signal[..., settle:] for signal in (*pair[:2], model.predict(pair.dry, pair.start_sample))
        )
        for i, signal in enumerate((pred, wet)):
            energies[i] += (signal - signal.mean()).square().sum().cpu()
        return dry, wet, pred

    metrics = measure((judged(pair) for pair in pairs), sample_rate)
    pred_energy, wet_energy = energies.tolist()
    return Judgement(metrics, pred_energy < COLLAPSED_ENERGY * wet_energy)
