"""Error-to-signal ratio, plain and pre-emphasised."""

import torch
from torch import Tensor

from fxcore.losses.esr import esr_sums
from fxcore.losses.pre_emphasis import pre_emphasise
from fxcore.metrics.base import Metric, ratio


class Esr(Metric):
    """Energy of the error over energy of the wet: 1 for silence, 0 for the wet itself."""

    name = "esr"
    unit = ""
    worst = 100.0

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:  # every metric is given the dry
        """Energies (2,) of error and wet."""
        return torch.stack(esr_sums(pred, wet))

    def divide(self, sums: Tensor) -> Tensor:
        """Error over wet."""
        return ratio(sums)


class EsrPreEmphasised(Esr):
    """ESR behind the pre-emphasis filter of Wright & Välimäki (2019), where treble counts."""

    name = "esr_pre"

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:
        """Energies (2,) of error and wet, both filtered."""
        return super().sums(dry, pre_emphasise(wet), pre_emphasise(pred))
