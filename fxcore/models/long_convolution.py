"""Convolution with impulse responses of any length, block by block, without latency, faster than real time.

The first taps are convolved directly; the others in partitions by FFT, short ones before long ones (Gardner,
"Efficient convolution without input-output delay", 1995). A partition of N taps begins at least N samples
after the dry, so that each of its outputs is there before it is due.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from fxcore.models.base import State

DIRECT_TAPS = 192  # up to which windows are convolved without FFT
HEAD_TAPS = 256
PARTITION_SAMPLES = (256, 4_096)  # each level hands over to the next where that may begin


class Filters(nn.Module):
    """Impulse responses (C, taps) as a parameter, drawn as noise that keeps the power of C equal inputs."""

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.randn(channels, taps) / (channels * taps) ** 0.5)
        self._prepared: tuple[tuple[object, ...], LongConvolution] | None = None

    def forward(self, signal: Tensor) -> Tensor:
        """The filtered sum (B, 1, N) of windows (B, C, taps - 1 + N); differentiable."""
        taps = self.taps.shape[-1]
        if taps <= DIRECT_TAPS:
            return F.conv1d(signal, self.taps.flip(-1)[None])
        size = next_fast_len(signal.shape[-1], real=True)
        spectrum = torch.fft.rfft(signal, size) * torch.fft.rfft(self.taps, size)
        filtered: Tensor = torch.fft.irfft(spectrum.sum(dim=1, keepdim=True), size)
        return filtered[..., taps - 1 : signal.shape[-1]]

    def convolution(self) -> "LongConvolution":
        """To play the taps as they are now; prepared again only where they have changed."""
        now = (self.taps._version, self.taps.data_ptr(), self.taps.device)
        if self._prepared is None or self._prepared[0] != now:
            self._prepared = now, LongConvolution(self.taps.detach())
        return self._prepared[1]


class Level(NamedTuple):
    """Taps in partitions of one size: taps `samples` .. `samples` * (1 + count)."""

    samples: int
    spectra: Tensor  # (C, count, samples + 1)


class LongConvolution:
    """The filters (C, taps), prepared; adds up what they make of a signal (B, C, T)."""

    def __init__(self, taps: Tensor) -> None:
        self.channels, length = taps.shape
        self.head = taps[:, :HEAD_TAPS].flip(-1)[None]  # (1, C, head taps)
        self.levels = [
            Level(size, _partition_spectra(taps[:, size:end], size))
            for size, end in zip(PARTITION_SAMPLES, (*PARTITION_SAMPLES[1:], length), strict=True)
            if length > size
        ]

    @property
    def state_tensors(self) -> int:
        """How many tensors its state has."""
        return 1 + 3 * len(self.levels)

    def zero_state(self, batch: int) -> State:
        """Silence: what the head remembers; and for each level its frame, the outputs due, past spectra."""
        state = [self.head.new_zeros(batch, self.channels, self.head.shape[-1] - 1)]
        for size, spectra in self.levels:
            state.append(self.head.new_zeros(batch, self.channels, size))
            state.append(self.head.new_zeros(batch, size))
            state.append(spectra.new_zeros(batch, *spectra.shape))
        return tuple(state)

    def step(self, signal: Tensor, state: State) -> tuple[Tensor, State]:
        """The filtered sum (B, 1, T) of a block (B, C, T), and the state after it."""
        joined = torch.cat([state[0], signal], dim=-1)
        after = [joined[..., joined.shape[-1] - state[0].shape[-1] :]]
        filtered = F.conv1d(joined, self.head)
        for i, level in enumerate(self.levels):
            tail, *past = _play_level(level, signal, *state[3 * i + 1 : 3 * i + 4])
            filtered = filtered + tail[:, None]
            after.extend(past)
        return filtered, tuple(after)


def _partition_spectra(taps: Tensor, size: int) -> Tensor:
    """Spectra (C, count, size + 1) of taps (C, L) cut into partitions of `size`, padded to twice that."""
    padded = F.pad(taps, (0, -taps.shape[-1] % size))
    spectra: Tensor = torch.fft.rfft(padded.reshape(len(taps), -1, size), 2 * size)
    return spectra


def _play_level(level: Level, signal: Tensor, frame: Tensor, due: Tensor, past: Tensor) -> tuple[Tensor, ...]:
    """Outputs (B, T) of one level, and its new state.

    The frame (B, C, size + n) ends with the n samples heard since the level's last transform; `due` (B, size)
    are its outputs from there on; `past` (B, C, count, size + 1) the spectra of its frames, the latest first.
    """
    size, played, at = level.samples, [], 0
    while at < signal.shape[-1]:
        heard = frame.shape[-1] - size
        more = min(size - heard, signal.shape[-1] - at)
        played.append(due[:, heard : heard + more])
        frame = torch.cat([frame, signal[..., at : at + more]], dim=-1)
        at += more
        if heard + more == size:  # overlap-save
            past = torch.cat([torch.fft.rfft(frame)[:, :, None], past[:, :, :-1]], dim=2)
            due = torch.fft.irfft((past * level.spectra).sum(dim=(1, 2)))[:, size:]
            frame = frame[..., size:]
    return torch.cat(played, dim=-1), frame, due, past
