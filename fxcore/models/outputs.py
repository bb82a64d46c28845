"""What a network puts out for each sample: a number, or a distribution over mu-law codes.

- `regression`: the sample itself.
- `mixture`: a mixture of four discretised logistics over the companded range (Salimans et al.,
  PixelCNN++, 2017); its cost does not depend on the bit depth.
- `softmax`: a class for each mu-law code (van den Oord et al., WaveNet, 2016), to 10 bits.

An output turns raw network outputs (B, O, N) into audio (B, 1, N) and into a training loss. All are
trained on the waveform that they decode to; the distributions on their likelihood besides.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fxcore import companding
from fxcore.losses import dc_loss, esr_loss, pre_emphasise
from fxcore.spec import Registry, Spec

MIXTURE_COMPONENTS = 4
ENERGY_FLOOR = 1e-3  # of the wet's mean energy: keeps silent batches from dominating
LIKELIHOOD_WEIGHT = 0.1  # nats a sample, beside the waveform: alone, it attends to the quiet samples only


class Output(Spec, ABC):
    """Base of all outputs; `scale` is the deviation of the training wet, a scalar tensor."""

    kind: str

    @property
    @abstractmethod
    def channels(self) -> int:
        """O, raw outputs a sample."""

    @abstractmethod
    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        """Audio (B, 1, N)."""

    @abstractmethod
    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor) -> Tensor:
        """Scalar; the wet is (B, 1, N)."""


class Regression(Output):
    """One number a sample (Wright & Välimäki, 2019)."""

    kind: Literal["regression"] = "regression"

    @property
    def channels(self) -> int:
        return 1

    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        return raw * scale

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor) -> Tensor:
        target = wet / scale
        emphasised = esr_loss(pre_emphasise(raw), pre_emphasise(target), ENERGY_FLOOR)
        return (
            emphasised + 0.5 * esr_loss(raw, target, ENERGY_FLOOR) + 0.5 * dc_loss(raw, target, ENERGY_FLOOR)
        )


class Mixture(Output):
    """Discretised logistic mixture over mu-law codes; decodes to the code nearest its mean.

    The network gives the means as amplitudes, as a regression does, and the loss compares them in
    the companded range: a mean is as easily learned at 24 bits as at 8.
    """

    kind: Literal["mixture"] = "mixture"
    bits: int = Field(16, ge=8, le=24)

    @property
    def channels(self) -> int:
        return 3 * MIXTURE_COMPONENTS

    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        weights, amplitudes, _ = self._components(raw, scale)
        mean = (weights.exp() * amplitudes).sum(dim=1, keepdim=True)
        return companding.decode(companding.encode(mean, self.bits), self.bits)

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor) -> Tensor:
        weights, amplitudes, log_scales = self._components(raw, scale)
        target = companding.compress(wet.clamp(-1.0, 1.0), self.bits)
        centred = target - companding.compress(amplitudes, self.bits)  # (B, K, N)
        half_step, sharpness = 0.5 * companding.step(self.bits), torch.exp(-log_scales)
        upper, lower = sharpness * (centred + half_step), sharpness * (centred - half_step)
        mass = torch.sigmoid(upper) - torch.sigmoid(lower)
        middle = sharpness * centred
        density = middle - log_scales - 2.0 * F.softplus(middle) + math.log(2 * half_step)
        inside = torch.where(mass > 1e-4, torch.log(mass.clamp(min=1e-12)), density)  # no cancellation
        below_top = torch.where(target < half_step - 1.0, -F.softplus(-upper), inside)
        log_mass = torch.where(target > 1.0 - half_step, -F.softplus(lower), below_top)
        likelihood = torch.logsumexp(weights + log_mass, dim=1).mean()
        mean = (weights.exp() * amplitudes).sum(dim=1, keepdim=True)
        return waveform_loss(mean / scale, wet / scale) - LIKELIHOOD_WEIGHT * likelihood

    def _components(self, raw: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, mean amplitudes (full scale ±1) and log scales (companded), (B, K, N) each."""
        weights, means, log_scales = raw.chunk(3, dim=1)
        sharpest = math.log(companding.step(self.bits) / 2)
        return F.log_softmax(weights, dim=1), means * scale, (log_scales - 2.0).clamp(min=sharpest)


class Softmax(Output):
    """One class for each mu-law code; decodes to the expected amplitude."""

    kind: Literal["softmax"] = "softmax"
    bits: int = Field(8, ge=8, le=10)

    @property
    def channels(self) -> int:
        return int(2**self.bits)

    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        levels = companding.decode(torch.arange(self.channels, device=raw.device), self.bits)
        return torch.einsum("bcn,c->bn", raw.softmax(dim=1), levels)[:, None]

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor) -> Tensor:
        classes = F.cross_entropy(raw, companding.encode(wet[:, 0].clamp(-1.0, 1.0), self.bits))
        return waveform_loss(self.decode(raw, scale) / scale, wet / scale) + LIKELIHOOD_WEIGHT * classes


def waveform_loss(pred: Tensor, wet: Tensor) -> Tensor:
    """Pre-emphasised ESR + ESR / 2 + DC / 2 of signals (B, 1, N) of deviation about 1."""
    emphasised = esr_loss(pre_emphasise(pred), pre_emphasise(wet), ENERGY_FLOOR)
    return emphasised + 0.5 * esr_loss(pred, wet, ENERGY_FLOOR) + 0.5 * dc_loss(pred, wet, ENERGY_FLOOR)


OUTPUTS: Registry[Output] = Registry("output", Regression, Mixture, Softmax)
