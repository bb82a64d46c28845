"""What a network puts out for each sample: a number, or a distribution over mu-law codes.

- `regression`: the sample itself.
- `mixture`: a mixture of four discretised logistics over the companded range (Salimans et al.,
  PixelCNN++, 2017); its cost does not depend on the bit depth.
- `factorised`: one class for a mu-law code's upper bits and one for its lower bits (Kalchbrenner et
  al., WaveRNN, 2018), to 16 bits.
- `softmax`: a class for each mu-law code (van den Oord et al., WaveNet, 2016), to 10 bits.

An output turns raw network outputs (B, O, N) into audio (B, 1, N) and into a training loss. All are
trained on the waveform that they decode to; the distributions on their likelihood besides, which
alone would attend to the quiet samples only.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fxcore import companding
from fxcore.losses import DEFAULT_LOSS, WeightedLoss
from fxcore.models.codes import expect, expect_and_judge
from fxcore.spec import Registry, Spec

MIXTURE_COMPONENTS = 4


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
    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor, loss: WeightedLoss = DEFAULT_LOSS) -> Tensor:
        """Scalar; the wet is (B, 1, N)."""


class Regression(Output):
    """One number a sample (Wright & Välimäki, 2019)."""

    kind: Literal["regression"] = "regression"

    @property
    def channels(self) -> int:
        return 1

    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        return raw * scale

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor, loss: WeightedLoss = DEFAULT_LOSS) -> Tensor:
        return loss.waveform(raw, wet / scale, scale)


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

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor, loss: WeightedLoss = DEFAULT_LOSS) -> Tensor:
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
        return loss.waveform(mean / scale, wet / scale, scale) - loss.weights.likelihood_weight * likelihood

    def _components(self, raw: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, mean amplitudes (full scale ±1) and log scales (companded), (B, K, N) each."""
        weights, means, log_scales = raw.chunk(3, dim=1)
        sharpest = math.log(companding.step(self.bits) / 2)
        return F.log_softmax(weights, dim=1), means * scale, (log_scales - 2.0).clamp(min=sharpest)


class Factorised(Output):
    """A class for the code's upper bits and one for its lower bits; decodes to the expected amplitude.

    The two are independent given the network's state. Away from silence a level is a power of
    1 + mu, so that its expectation is that of the upper bits' factor times that of the lower bits'.
    """

    kind: Literal["factorised"] = "factorised"
    bits: int = Field(12, ge=8, le=16)

    @property
    def fine(self) -> int:
        """How many lower codes there are; the upper are as many, or twice as many."""
        return int(2 ** (self.bits // 2))

    @property
    def coarse(self) -> int:
        """How many upper codes there are."""
        return int(2**self.bits) // self.fine

    @property
    def channels(self) -> int:
        return self.coarse + self.fine

    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        upper, lower = torch.split(raw, [self.coarse, self.fine], dim=1)
        coarse_levels, fine_levels = self._levels(raw)
        return self._amplitude(expect(upper, coarse_levels), expect(lower, fine_levels))

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor, loss: WeightedLoss = DEFAULT_LOSS) -> Tensor:
        upper, lower = torch.split(raw, [self.coarse, self.fine], dim=1)
        coarse_levels, fine_levels = self._levels(raw)
        codes = companding.encode(wet[:, 0].clamp(-1.0, 1.0), self.bits)
        of_upper, upper_likelihood = expect_and_judge(upper, coarse_levels, codes // self.fine)
        of_lower, lower_likelihood = expect_and_judge(lower, fine_levels, codes % self.fine)
        pred, likelihood = self._amplitude(of_upper, of_lower), upper_likelihood + lower_likelihood
        return loss.waveform(pred / scale, wet / scale, scale) - loss.weights.likelihood_weight * likelihood

    def _levels(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of the upper codes (3, C) and the lower ones (2, F) to 1 + mu |amplitude|.

        First those above silence, then those below; the upper codes' third row is their sign.
        """
        log_step = math.log(2.0**self.bits) * companding.step(self.bits)
        above = torch.arange(self.coarse, dtype=torch.float64, device=raw.device) - self.coarse // 2
        above = self.fine * above
        within = torch.arange(self.fine, dtype=torch.float64, device=raw.device)
        positive = (above >= 0).double()
        upper = [positive * (log_step * above).exp(), (1 - positive) * (-log_step * above).exp()]
        lower = [(log_step * within).exp(), (-log_step * within).exp()]
        return torch.stack([*upper, 2 * positive - 1]).to(raw), torch.stack(lower).to(raw)

    def _amplitude(self, of_upper: Tensor, of_lower: Tensor) -> Tensor:
        """Expected amplitude (B, 1, N) of expected factors (B, 3, N) and (B, 2, N)."""
        above, below = of_upper[:, :1] * of_lower[:, :1], of_upper[:, 1:2] * of_lower[:, 1:]
        mu = 2.0**self.bits - 1.0
        return ((above - below - of_upper[:, 2:]) / mu).clamp(-1.0, 1.0)


class Softmax(Output):
    """One class for each mu-law code; decodes to the expected amplitude."""

    kind: Literal["softmax"] = "softmax"
    bits: int = Field(8, ge=8, le=10)

    @property
    def channels(self) -> int:
        return int(2**self.bits)

    def decode(self, raw: Tensor, scale: Tensor) -> Tensor:
        return expect(raw, self._levels(raw))

    def loss(self, raw: Tensor, wet: Tensor, scale: Tensor, loss: WeightedLoss = DEFAULT_LOSS) -> Tensor:
        codes = companding.encode(wet[:, 0].clamp(-1.0, 1.0), self.bits)
        pred, likelihood = expect_and_judge(raw, self._levels(raw), codes)
        return loss.waveform(pred / scale, wet / scale, scale) - loss.weights.likelihood_weight * likelihood

    def _levels(self, raw: Tensor) -> Tensor:
        """Amplitude of each code, (1, C)."""
        return companding.decode(torch.arange(self.channels, device=raw.device), self.bits)[None].to(raw)


OUTPUTS: Registry[Output] = Registry("output", Regression, Mixture, Factorised, Softmax)
