"""Log-mel distance: the mean absolute difference in dB between two mel spectrograms.

128 triangular bands on Slaney's mel scale (Auditory Toolbox, 1998) as librosa draws them, from
Hann-windowed frames of 2,048 samples every 512, centred and reflected at the ends.

Levels are absolute. Each triangle peaks at 1 (librosa's `norm=None`), and powers are divided by what
the bins of a full-scale sine add up to, fft_samples · Σ window² / 4. At 44.1 kHz a sine of amplitude
1 thus reads 0 to -0.8 dB at the centre of a band above 2 kHz, down to -2 dB in the bands below,
which are narrower than the window's main lobe, and -3 dB half-way between two bands. What lies under
-80 dB counts as -80 dB.
"""

import functools
import warnings

import torch
from torch import Tensor

from fxcore.losses.spectrum import Resolution, hann_window, power_blocks

RESOLUTION = Resolution(fft_samples=2048, hop_samples=512, window_samples=2048)
BANDS = 128
FLOOR_DB = -80.0


def mel_power(signal: Tensor, sample_rate: int) -> Tensor:
    """Power in each band, 1 for a full-scale sine: (B, 1, T) to (B, bands, 1 + T // 512)."""
    weights = mel_weights(sample_rate, signal.device, signal.dtype)
    blocks = [power @ weights for power in power_blocks(signal.squeeze(1), RESOLUTION)]
    return torch.cat(blocks, dim=1).transpose(1, 2)  # (B, frames, bands) to (B, bands, frames)


def log_mel(signal: Tensor, sample_rate: int) -> Tensor:
    """Level of each band in dB, at least -80: (B, 1, T) to (B, bands, 1 + T // 512)."""
    return 10 * mel_power(signal, sample_rate).clamp(min=10 ** (FLOOR_DB / 10)).log10()


def log_mel_sums(pred: Tensor, wet: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Sum of absolute differences in dB over bands and frames, and their count: two scalars."""
    difference_db = log_mel(pred, sample_rate) - log_mel(wet, sample_rate)
    return difference_db.abs().sum(), difference_db.new_full((), difference_db.numel())


def log_mel_loss(pred: Tensor, wet: Tensor, sample_rate: int) -> Tensor:
    """Mean absolute difference in dB of pred and wet, (B, 1, T) each: a scalar, at least 0."""
    difference_db, count = log_mel_sums(pred, wet, sample_rate)
    return difference_db / count


@functools.lru_cache(maxsize=32)
def mel_weights(sample_rate: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Scaled filter bank (1025, bands), shared by all callers: read only.

    128 bands up to 96 kHz; above, the lowest are narrower than a bin, and those without one are left out.
    """
    from librosa.filters import mel  # 60 MB and a third of a second, hence not before it is needed

    fft_samples = RESOLUTION.fft_samples
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters", category=UserWarning)
        triangles = mel(sr=sample_rate, n_fft=fft_samples, n_mels=BANDS, norm=None)
    with torch.inference_mode(False):  # else one first made while evaluating would be of no use in training
        window = hann_window(RESOLUTION.window_samples, torch.device("cpu"), torch.float64)
        full_scale = fft_samples * float(window.square().sum()) / 4
        weights = torch.from_numpy(triangles[triangles.any(axis=1)].T / full_scale)
        return weights.to(device, dtype).contiguous()
