"""The training loss: a weighted sum of terms, of which those without a weight cost nothing.

The default is that of Wright & Välimäki, "Perceptual loss function for neural modeling of audio
systems" (2019): ESR behind a pre-emphasis filter, which makes treble count, beside plain ESR and DC.
"""

from typing import ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor

from fxcore.losses.a_weighting import TAPS, a_weight
from fxcore.losses.dc import dc_loss
from fxcore.losses.esr import esr_loss
from fxcore.losses.mel import log_mel_loss
from fxcore.losses.pre_emphasis import pre_emphasise
from fxcore.losses.stft import mr_stft_loss
from fxcore.spec import Spec

ENERGY_FLOOR = 1e-3  # of the wet's mean energy: keeps silent batches from dominating


class LossWeights(Spec):
    """Weight of each term; those on spectra need blocks that hold their frames."""

    esr_weight: float = Field(0.5, ge=0.0, le=1e3)
    esr_pre_weight: float = Field(1.0, ge=0.0, le=1e3)  # ESR behind the pre-emphasis filter
    esr_a_weight: float = Field(0.0, ge=0.0, le=1e3)  # ESR behind the A-weighting
    dc_weight: float = Field(0.5, ge=0.0, le=1e3)
    mr_stft_weight: float = Field(0.0, ge=0.0, le=1e3)
    log_mel_weight: float = Field(0.0, ge=0.0, le=1e3)  # of each dB
    likelihood_weight: float = Field(0.1, ge=0.0, le=1e3)  # of each nat a sample, where codes are put out

    shortest_block: ClassVar[dict[str, int]] = {
        "esr_a_weight": 2 * TAPS,
        "mr_stft_weight": 2048,
        "log_mel_weight": 2048,
    }

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        compared = ("esr_weight", "esr_pre_weight", "esr_a_weight", "mr_stft_weight", "log_mel_weight")
        if not any(getattr(self, name) for name in compared):
            raise ValueError(f"one of {', '.join(compared)} must be above 0; got none")
        return self

    def check_block(self, block_samples: int) -> None:
        """Raise `ValueError` where blocks are too short for a term."""
        for name, shortest in self.shortest_block.items():
            if getattr(self, name) and block_samples < shortest:
                raise ValueError(
                    f"{name} needs block_samples of at least {shortest}; got {block_samples}; "
                    "take longer blocks, or leave the weight at 0"
                )


class WeightedLoss:
    """The training loss with `weights` at one sample rate."""

    def __init__(self, weights: LossWeights, sample_rate: int) -> None:
        self.weights, self.sample_rate = weights, sample_rate

    def waveform(self, pred: Tensor, wet: Tensor, scale: Tensor) -> Tensor:
        """What the waveform contributes.

        Args:
            pred: estimated wet in deviations of the training wet, (B, 1, N).
            wet: its target, likewise, (B, 1, N).
            scale: that deviation, a scalar: spectra are compared at full scale ±1.

        Returns:
            Scalar, at least 0.
        """
        weights, terms = self.weights, []
        if weights.esr_pre_weight:
            emphasised = esr_loss(pre_emphasise(pred), pre_emphasise(wet), ENERGY_FLOOR)
            terms.append(weights.esr_pre_weight * emphasised)
        if weights.esr_weight:
            terms.append(weights.esr_weight * esr_loss(pred, wet, ENERGY_FLOOR))
        if weights.dc_weight:
            terms.append(weights.dc_weight * dc_loss(pred, wet, ENERGY_FLOOR))
        if weights.esr_a_weight:
            heard = [a_weight(signal, self.sample_rate) for signal in (pred, wet)]
            terms.append(weights.esr_a_weight * esr_loss(heard[0], heard[1], ENERGY_FLOOR))
        if weights.mr_stft_weight:
            distance = mr_stft_loss(pred * scale, wet * scale, ENERGY_FLOOR * scale**2)
            terms.append(weights.mr_stft_weight * distance)
        if weights.log_mel_weight:
            distance_db = log_mel_loss(pred * scale, wet * scale, self.sample_rate)
            terms.append(weights.log_mel_weight * distance_db)
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


DEFAULT_LOSS = WeightedLoss(LossWeights(), 44_100)  # none of its terms depends on the rate
