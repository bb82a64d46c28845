"""What a model costs to play."""

import time
from typing import NamedTuple

import torch

from fxcore.models import EffectModel

BLOCK_SAMPLES = 64


class Cost(NamedTuple):
    """Parameters, receptive field in samples (None: unbounded), and speed in times real time."""

    parameters: int
    receptive_field: int | None
    realtime_factor: float


def measure_cost(model: EffectModel, sample_rate: int, *, seconds: float = 0.2) -> Cost:
    """Play noise in 64-sample blocks for about `seconds` of CPU time, as a plug-in host would."""
    dry = torch.randn(1, 1, BLOCK_SAMPLES, generator=torch.Generator().manual_seed(0)) * 0.1
    dry, state = dry.to(model.scale.device), model.initial_state()
    _, state = model.stream(dry, state)
    blocks, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        _, state = model.stream(dry, state)
        blocks += 1
    return Cost(
        model.parameter_count(),
        model.spec.receptive_field,
        blocks * BLOCK_SAMPLES / sample_rate / max(spent, 1e-9),
    )
