"""Losses: how far a pred lies from its wet, as pure functions of float32 (B, 1, T), full scale ±1.

Where a loss has a `..._sums` beside it, recordings combine by adding those and dividing once, which
is what `fxcore.metrics` does. `weighted.py` adds them up to what models are trained on.
"""

from fxcore.losses.a_weighting import a_weight
from fxcore.losses.dc import dc_loss
from fxcore.losses.esr import esr_loss, esr_sums
from fxcore.losses.mel import log_mel, log_mel_loss, log_mel_sums, mel_power
from fxcore.losses.pre_emphasis import pre_emphasise
from fxcore.losses.stft import mr_stft, mr_stft_loss, mr_stft_sums
from fxcore.losses.weighted import DEFAULT_LOSS, LossWeights, WeightedLoss

__all__ = [
    "DEFAULT_LOSS",
    "LossWeights",
    "WeightedLoss",
    "a_weight",
    "dc_loss",
    "esr_loss",
    "esr_sums",
    "log_mel",
    "log_mel_loss",
    "log_mel_sums",
    "mel_power",
    "mr_stft",
    "mr_stft_loss",
    "mr_stft_sums",
    "pre_emphasise",
]
