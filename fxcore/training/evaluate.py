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


class Pair(NamedTuple):
    """Dry and wet of one recording on a device, (1, 1, T) each."""

    dry: Tensor
    wet: Tensor
    start_sample: int = 0


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

    def judged(pair: Pair) -> tuple[Tensor, Tensor, Tensor]:
        settle = settle_samples(pair.dry.shape[-1], pair.start_sample)
        pred = model.predict(pair.dry, pair.start_sample)
        return pair.dry[..., settle:], pair.wet[..., settle:], pred[..., settle:]

    return measure((judged(pair) for pair in pairs), sample_rate)
