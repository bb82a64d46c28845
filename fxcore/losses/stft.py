"""Multi-resolution STFT distance: spectral convergence plus log magnitude at three resolutions.

Yamamoto, Song & Kim, "Parallel WaveGAN" (2020), with the lengths and the floor of auraloss
0.4's `MultiResolutionSTFTLoss()`, whose values these are. It hears no phase, so that it judges
effects that move in time, where ESR means nothing.
"""

import functools

import torch
from torch import Tensor

from fxcore.losses.spectrum import Resolution, power_blocks

RESOLUTIONS = (Resolution(1024, 120, 600), Resolution(2048, 240, 1200), Resolution(512, 50, 240))
POWER_FLOOR = 1e-8  # -80 dB below a magnitude of 1, under which bins count as equal


def mr_stft_sums(pred: Tensor, wet: Tensor) -> Tensor:
    """Sums from which `mr_stft` has the distance; those of several recordings add up.

    Args:
        pred: estimated wet, (B, 1, T).
        wet: its target, (B, 1, T).

    Returns:
        (3, 4): for each resolution the energy of the magnitudes' error, the energy of the wet's
        magnitudes, the absolute differences of the log magnitudes, and the count of bins.
    """
    return torch.stack([_sums_at(resolution, pred, wet) for resolution in RESOLUTIONS])


def mr_stft(sums: Tensor, floor: Tensor | float = 0.0) -> Tensor:
    """Distance, a scalar, of sums (3, 4): convergence plus log magnitude, averaged over resolutions.

    `floor` is an energy a sample, added to the wet's: in training, silence must not divide by nothing.
    """
    error_energy, wet_energy, log_difference, count = sums.unbind(dim=-1)  # (3,) each
    wet_energy = wet_energy + floor * _window_energy(count.device, count.dtype) * count  # Parseval's theorem
    exact = error_energy == 0
    error_norm = torch.where(exact, 1.0, error_energy).sqrt()  # the root's slope at 0 is infinite
    convergence = torch.where(exact, 0.0, error_norm) / wet_energy.sqrt()
    return (convergence + log_difference / count).mean()


def mr_stft_loss(pred: Tensor, wet: Tensor, floor: Tensor | float = 0.0) -> Tensor:
    """Distance of pred and wet, (B, 1, T) each: a scalar, at least 0; `floor` as in `mr_stft`."""
    return mr_stft(mr_stft_sums(pred, wet), floor)


@functools.lru_cache(maxsize=32)
def _window_energy(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Of Hann's window at each resolution, (3,), shared by all callers: read only."""
    with torch.inference_mode(False):  # else one first made while evaluating would be of no use in training
        return torch.tensor([3 / 8 * r.window_samples for r in RESOLUTIONS], device=device, dtype=dtype)


def _sums_at(resolution: Resolution, pred: Tensor, wet: Tensor) -> Tensor:
    """The four sums (4,) at one resolution."""
    both = torch.cat([pred, wet]).squeeze(1)  # (2B, T)
    sums = pred.new_zeros(4)
    for power in power_blocks(both, resolution):
        pred_power, wet_power = power.clamp(min=POWER_FLOOR).chunk(2)  # (B, frames, bins) each
        log_difference = 0.5 * (pred_power / wet_power).log().abs().sum()
        error_energy = (pred_power.sqrt() - wet_power.sqrt()).square().sum()
        count = wet_power.new_full((), wet_power.numel())
        sums = sums + torch.stack([error_energy, wet_power.sum(), log_difference, count])
    return sums
