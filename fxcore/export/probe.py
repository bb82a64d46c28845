"""What an exported file is compared on: silence, an impulse, sweeps, plucked strings and noise."""

from typing import NamedTuple

import numpy as np
import torch
from scipy import signal
from torch import Tensor

from fxcore import companding
from fxcore.generators.pluck import Pluck
from fxcore.models import EffectModel
from fxcore.models.outputs import Mixture

BLOCKS = (64, 333, 1, 1024, 2048)  # samples; taken in turn, so that states are carried at odd places
SWEEP_LEVELS = (0.05, 0.3, 1.0)
QUIETEST_PEAK = 1e-9
SUM_ROUNDING = 2e-6  # of full scale
RINGING_SAMPLES = (2048, 1 << 16)  # after the impulse: the receptive field within these


def probe(sample_rate: int, ringing: int) -> Tensor:
    """A dry signal up to full scale, (1, 1, T), with `ringing` samples after its impulse."""
    rng = np.random.default_rng(0)
    impulse = np.zeros(ringing)
    impulse[0] = 1.0
    time = np.arange(1024) / sample_rate
    sweep = signal.chirp(time, 30.0, time[-1], 0.45 * sample_rate, method="logarithmic")
    phrase = np.concatenate([Pluck().render(1024, sample_rate, rng)[0] * level for level in (0.2, 0.5, 0.9)])
    noise = np.clip(rng.standard_normal(2048) / 3, -1.0, 1.0)
    parts = [np.zeros(512), impulse, *(level * sweep for level in SWEEP_LEVELS), phrase, noise]
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))[None, None]


class Difference(NamedTuple):
    """How far a copy is from its model and may be, at any one sample, over the model's peak."""

    found: float
    allowed: float


def difference(model: EffectModel, copy: EffectModel, sample_rate: int, tolerance: float) -> Difference:
    """Compare a copy, played in blocks, with its model; `tolerance` is relative to the peak."""
    shortest, longest = RINGING_SAMPLES
    dry = probe(sample_rate, min(max(model.context_samples + 1, shortest), longest))
    wet = model.predict(dry.to(model.scale.device)).cpu()
    peak = max(float(wet.abs().max()), QUIETEST_PEAK)
    found = float((wet - in_blocks(copy, dry)).abs().max())
    return Difference(found / peak, tolerance + rounding(model) / peak)


def rounding(model: EffectModel) -> float:
    """How far apart two engines' amplitudes may lie for the way that an output decodes codes.

    A mixture's is the nearest code: where the amplitude lies between two, float32's last digit decides, and
    the other one is a step away. Expected amplitudes are sums of levels up to full scale, in float32.
    """
    output = model.spec.output
    if output.kind == "regression":
        return 0.0
    if not isinstance(output, Mixture):
        return SUM_ROUNDING
    loudest = torch.tensor([2**output.bits - 2, 2**output.bits - 1])
    return float(companding.decode(loudest, output.bits).diff())


def in_blocks(model: EffectModel, dry: Tensor) -> Tensor:
    """Wet (1, 1, T) of a dry (1, 1, T), played in blocks of changing size."""
    state, at = model.initial_state(), 0
    played: list[Tensor] = []
    while at < dry.shape[-1]:
        size = BLOCKS[len(played) % len(BLOCKS)]
        wet, state = model.stream(dry[..., at : at + size], state)
        played.append(wet)
        at += size
    return torch.cat(played, dim=-1)
