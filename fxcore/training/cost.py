"""What a model costs to play, measured here or predicted from its settings.

The prediction reads no clock: it counts what one block asks of torch (`fxcore.training.work`) and prices it
as one reference core does, so that it is the same on every machine and takes milliseconds. A search can thus
refuse a model before it is trained. How near it comes stands in BENCHMARKS.md.
"""

import time
from typing import NamedTuple

import torch

from fxcore.models import EffectModel, ModelSpec
from fxcore.models.base import PLAYED_BLOCK_SAMPLES
from fxcore.training.work import Work, count_work

# seconds of the reference core for one of each, fitted by benchmarks/playing_cost.py
REFERENCE = Work(calls=1.1e-5, steps=1.5e-6, products=1.3e-10, convolved=7.9e-9)


class Cost(NamedTuple):
    """Parameters, receptive field in samples (None: unbounded), and speed in times real time."""

    parameters: int
    receptive_field: int | None
    realtime_factor: float


def measure_cost(model: EffectModel, sample_rate: int, *, seconds: float = 0.2) -> Cost:
    """Play noise in 64-sample blocks for about `seconds` of CPU time, as a plug-in host would."""
    dry = torch.randn(1, 1, PLAYED_BLOCK_SAMPLES, generator=torch.Generator().manual_seed(0)) * 0.1
    dry, state = dry.to(model.scale.device), model.initial_state()
    _, state = model.stream(dry, state)
    blocks, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        _, state = model.stream(dry, state)
        blocks += 1
    return Cost(
        model.parameter_count(),
        model.spec.receptive_field,
        blocks * PLAYED_BLOCK_SAMPLES / sample_rate / max(spent, 1e-9),
    )


def predicted_cost(spec: ModelSpec, sample_rate: int) -> Cost:
    """What `measure_cost` would give on the reference core, for a fresh model at `sample_rate` Hz."""
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    seconds = spec.compiled_seconds or _priced(count_work(model))
    return Cost(model.parameter_count(), spec.receptive_field, PLAYED_BLOCK_SAMPLES / sample_rate / seconds)


def _priced(work: Work) -> float:
    """Seconds."""
    return sum(count * seconds for count, seconds in zip(work, REFERENCE, strict=True))
