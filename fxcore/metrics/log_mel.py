"""Log-mel distance to the wet, in dB and as a share of the dry's own distance."""

import torch
from torch import Tensor

from fxcore.losses.mel import log_mel_sums
from fxcore.metrics.base import Metric, ratio


class LogMel(Metric):
    """Mean absolute difference over mel bands and frames; phase does not count."""

    name = "log_mel"
    unit = "dB"
    worst = 100.0

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:  # every metric is given the dry
        """Sum (2,) of differences in dB, and their count."""
        return torch.stack(log_mel_sums(pred, wet, self.sample_rate))

    def divide(self, sums: Tensor) -> Tensor:
        """Mean difference in dB."""
        return ratio(sums)


class LogMelShare(Metric):
    """The pred's distance to the wet over the dry's: 1 for a model that does nothing."""

    name = "log_mel_share"
    unit = ""
    worst = 100.0

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:
        """Sums (2,) of differences in dB: of the pred to the wet, of the dry to the wet."""
        pred_db, _ = log_mel_sums(pred, wet, self.sample_rate)
        dry_db, _ = log_mel_sums(dry, wet, self.sample_rate)
        return torch.stack([pred_db, dry_db])

    def divide(self, sums: Tensor) -> Tensor:
        """Pred's over dry's."""
        return ratio(sums)
