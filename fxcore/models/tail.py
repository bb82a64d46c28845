"""A linear tail: the impulse response that a network's output goes through, such as a cabinet's.

Where an effect ends in a long linear part, a small network need not learn it: the tail is solved by
least squares, again and again as what comes before it is trained (alternating least squares; Bai,
"An optimal two-stage identification algorithm for Hammerstein-Wiener nonlinear systems", 1998). It
begins as the linear fit of the pair: for noise, that of a distorted signal is the filter behind the
distortion (Bussgang, 1952).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.least_squares import Passage, passages, solve_fir

DIRECT_SAMPLES = 128  # blocks up to which a direct convolution is the quicker
EXCERPTS = 16
EXCERPT_SAMPLES = 32_768
RIDGE_DB = -70.0  # what the network hardly puts out must not be amplified


class Tail(nn.Module):
    """An impulse response (taps,) that no gradient changes."""

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(F.pad(torch.ones(1), (0, taps - 1)), requires_grad=False)

    @property
    def memory_samples(self) -> int:
        """Past inputs that it needs."""
        return len(self.taps) - 1

    def forward(self, signal: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Filter a block (B, 1, N) after its past (B, 1, taps - 1); and the past of the next block."""
        joined = torch.cat([past, signal], dim=-1)
        length = joined.shape[-1]
        if signal.shape[-1] <= DIRECT_SAMPLES and not torch.is_grad_enabled():
            filtered = F.conv1d(joined, self.taps.flip(0)[None, None])
        else:
            size = next_fast_len(length, real=True)
            spectrum = torch.fft.rfft(joined, size) * torch.fft.rfft(self.taps, size)
            filtered = torch.fft.irfft(spectrum, size)[..., self.memory_samples : length]
        return filtered, joined[..., length - self.memory_samples :]

    @torch.no_grad()
    def begin(self, recordings: Sequence[Recording], dry_scale: float, wet_scale: float) -> None:
        """Take over the linear fit of dry and wet, both in deviations."""
        fitted = solve_fir(passages(recordings), len(self.taps), ridge_db=RIDGE_DB, bias=True)
        self.taps.copy_(torch.from_numpy(fitted.taps[0] * (dry_scale / wet_scale)))

    @torch.no_grad()
    def solve(
        self,
        recordings: Sequence[Recording],
        play: Callable[[Tensor], Tensor],
        settle_samples: int,
        wet_scale: float,
        rng: torch.Generator,
    ) -> None:
        """The tail of least squared error over excerpts of the recordings.

        `play` gives what goes into the tail, (B, 1, T), of excerpts of the dry, (B, 1, T); its first
        `settle_samples` do not count.
        """
        dry, wet = _excerpts(recordings, rng)
        inputs = play(dry.to(self.taps.device)).double().cpu().numpy()
        if not np.isfinite(inputs).all():  # training went astray, which the next report says
            return
        recorded = [
            Passage(signal[:, settle_samples:], target[settle_samples:] / wet_scale, after_silence=False)
            for signal, target in zip(inputs, wet, strict=True)
        ]
        fitted = solve_fir(recorded, len(self.taps), ridge_db=RIDGE_DB, bias=True)
        self.taps.copy_(torch.from_numpy(fitted.taps[0]))


def _excerpts(recordings: Sequence[Recording], rng: torch.Generator) -> tuple[Tensor, np.ndarray]:
    """Dry (B, 1, T) and wet (B, T) of passages drawn evenly from the recordings."""
    lengths = torch.tensor([r.dry.shape[-1] for r in recordings])
    size = min(EXCERPT_SAMPLES, int(lengths.max()))
    usable = (lengths - size + 1).clamp(min=0)
    ends = usable.cumsum(0)
    dry, wet = [], []
    for at in torch.randint(int(ends[-1]), (EXCERPTS,), generator=rng):
        index = int(torch.searchsorted(ends, at, right=True))
        start = int(at - (ends[index] - usable[index]))
        dry.append(torch.from_numpy(np.array(recordings[index].dry[:, start : start + size])))
        wet.append(recordings[index].wet[0, start : start + size].astype(np.float64))
    return torch.stack(dry), np.stack(wet)
