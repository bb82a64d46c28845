"""Power spectrograms in blocks of frames, so that a recording of any length fits in memory.

Frames are those of `torch.stft` with centring and reflection; the phase, which nothing here uses,
differs: a frame starts with its window, and zeros fill it up to the transform's length.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_BINS = 2**19  # 2 MB of float32, which stays in a core's cache; ten times as many run at half the speed


class Resolution(NamedTuple):
    """Lengths of a short-time Fourier transform, all in samples."""

    fft_samples: int
    hop_samples: int
    window_samples: int


def power_blocks(signal: Tensor, resolution: Resolution) -> Iterator[Tensor]:
    """Yield the power spectrogram of (B, T), block after block of (B, frames, fft_samples / 2 + 1).

    All frames together are 1 + T // hop_samples. A signal of fft_samples / 2 samples or fewer cannot
    be reflected and is extended with zeros first.
    """
    fft_samples, hop_samples, window_samples = resolution
    half = fft_samples // 2
    signal = F.pad(signal, (0, max(0, half + 1 - signal.shape[-1])))
    padded = F.pad(signal, (half, half), mode="reflect")
    frames = padded[:, (fft_samples - window_samples) // 2 :].unfold(-1, window_samples, hop_samples)
    frames = frames[:, : 1 + signal.shape[-1] // hop_samples]  # (B, frames, window_samples)
    window = hann_window(window_samples, signal.device, signal.dtype)
    for block in torch.split(frames, max(1, BLOCK_BINS // (len(signal) * (half + 1))), dim=1):
        spectrum = torch.fft.rfft(block * window, n=fft_samples)
        yield spectrum.real.square() + spectrum.imag.square()


@functools.lru_cache(maxsize=32)
def hann_window(length_samples: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Periodic Hann window (length_samples,), shared by all callers: read only."""
    with torch.inference_mode(False):  # else one first made while evaluating would be of no use in training
        return torch.hann_window(length_samples, device=device, dtype=dtype)
