"""How much louder or quieter the pred is than the wet, in loudness units.

ITU-R BS.1770-4: signals pass its K-weighting filter and their energies are compared. Without gates:
pred and wet are compared over the same samples, and silence, which the gates are there to leave out,
adds next to nothing to either energy.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import sosfilt
from torch import Tensor

from fxcore.metrics.base import Metric


class LevelDifference(Metric):
    """Distance of the loudness of pred and wet, 1 LU a decibel."""

    name = "level_difference"
    unit = "LU"
    worst = 100.0

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:  # every metric is given the dry
        """Energies (2,) of pred and wet, both K-weighted."""
        return torch.stack([k_weighted_energy(signal, self.sample_rate) for signal in (pred, wet)])

    def divide(self, sums: Tensor) -> Tensor:
        """Absolute difference of the levels in dB."""
        pred, wet = sums
        return torch.where(pred == wet, 0.0, 10 * (pred / wet).log10().abs())


def k_weighted_energy(signal: Tensor, sample_rate: int) -> Tensor:
    """Sum of the squares of (B, 1, T) behind the K-weighting filter: a scalar, float64, on the CPU."""
    weighted = sosfilt(k_weighting(sample_rate), signal.detach().cpu().numpy().astype(np.float64))
    return torch.tensor(float(np.square(weighted).sum()), dtype=torch.float64)


def k_weighting(sample_rate: int) -> npt.NDArray[np.float64]:
    """The filter's two sections (2, 6), a high shelf and a high-pass.

    The standard tabulates them at 48 kHz; these are the analogue filters behind its table, found by
    De Man, "Evaluation of implementations of the EBU R128 loudness measurement" (2018).
    """
    tangent = math.tan(math.pi * 1681.974450955533 / sample_rate)
    gain, resonance = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle, damping = gain**0.4996667741545416, tangent / resonance
    shelf = [
        gain + middle * damping + tangent**2,
        2 * (tangent**2 - gain),
        gain - middle * damping + tangent**2,
        *(1 + damping + tangent**2, 2 * (tangent**2 - 1), 1 - damping + tangent**2),
    ]
    tangent = math.tan(math.pi * 38.13547087602444 / sample_rate)
    damping = tangent / 0.5003270373238773
    rest = [1 + damping + tangent**2, 2 * (tangent**2 - 1), 1 - damping + tangent**2]
    high_pass = [rest[0], -2 * rest[0], rest[0], *rest]  # the standard's gain: 1, -2, 1 once divided
    return np.array([np.divide(section, section[3]) for section in (shelf, high_pass)])
