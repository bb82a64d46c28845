"""Multi-resolution STFT distance, with auraloss's definition."""

from torch import Tensor

from fxcore.losses.stft import mr_stft, mr_stft_sums
from fxcore.metrics.base import Metric


class MrStft(Metric):
    """Spectral convergence plus log magnitude, averaged over three resolutions."""

    name = "mr_stft"
    unit = ""
    worst = 100.0

    def sums(self, dry: Tensor, wet: Tensor, pred: Tensor) -> Tensor:  # every metric is given the dry
        """Sums (3, 4): four at each resolution."""
        return mr_stft_sums(pred, wet)

    def divide(self, sums: Tensor) -> Tensor:
        """The distance that they make."""
        return mr_stft(sums)
