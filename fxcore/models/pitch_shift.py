"""`pitch_shift`: an octaver or pitch shifter, as a causal phase vocoder with an equaliser.

Two pitch shifters never agree on phases, nor one with itself when it starts a moment later: only spectra
can be alike, so that they are what is fitted (`fxcore.models.pitch_shift_fit`) and what models should be
judged by.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from fxcore.audio import Recording
from fxcore.models.base import PLAYED_BLOCK_SAMPLES, EffectModel, ModelSpec, Nature, State
from fxcore.models.pitch_shift_fit import (
    bin_gains,
    fit_bands,
    fit_delay,
    fit_dry_gain,
    fit_semitones,
    pieces_of,
)
from fxcore.models.vocoder import HOPS, Array, Spectrum, compiled, windows

WARM_UP_SAMPLES = 8192
BLOCK_SECONDS, FRAMED_SECONDS = 355e-6, 27e-9  # of any block, of a frame's sample: as in BENCHMARKS.md


class PitchShiftSpec(ModelSpec):
    """Frames of `window_samples`, of which the last `tail_samples` rise and fall again.

    A longer window tells closer notes apart, a longer tail is cleaner between them; both are later.
    """

    kind: Literal["pitch_shift"] = "pitch_shift"
    window_samples: int = Field(1024, ge=128, le=8192)
    tail_samples: int = Field(96, ge=16, le=2048)

    outputs: ClassVar[tuple[str, ...]] = ("regression",)
    fitted: ClassVar[bool] = True
    made_for: ClassVar[Nature | None] = Nature(linear=True, time_varying=True)
    ranges: ClassVar[Mapping[str, Any]] = {"window_samples": [512, 2_048], "tail_samples": [48, 512]}
    starts: ClassVar[Sequence[Mapping[str, Any]]] = (
        {},  # where the wet comes at once; and where it comes late
        {"window_samples": 2_048, "tail_samples": 512},
    )

    @property
    def tail(self) -> int:
        """As asked for, but at most half of the window, and whole hops."""
        return min(self.tail_samples, self.window_samples // 2) // HOPS * HOPS

    @property
    def compiled_seconds(self) -> float:
        framed = PLAYED_BLOCK_SAMPLES * HOPS / self.tail * self.window_samples
        return BLOCK_SECONDS + FRAMED_SECONDS * framed

    def _build(self) -> EffectModel:
        return PitchShift(self)


class PitchShift(EffectModel):
    """The vocoder of a `PitchShiftSpec`: one octave down until it is fitted.

    Its state is the dry heard last, the samples since the last frame, what is still to be played, and each
    bin's rotation and last value. `delay_samples` come before the vocoder: what it plays is late by as many.
    """

    spec: PitchShiftSpec
    delay_samples: Tensor  # int64, a scalar

    def __init__(self, spec: PitchShiftSpec) -> None:
        super().__init__(spec)
        self.semitones = nn.Parameter(torch.tensor(-12.0))
        self.shifted_gain = nn.Parameter(torch.tensor(1.0))
        self.dry_gain = nn.Parameter(torch.tensor(0.0))
        self.bin_gains = nn.Parameter(torch.ones(spec.window_samples // 2 + 1))
        self.register_buffer("delay_samples", torch.tensor(0))

    @property
    def context_samples(self) -> int:
        hop = self.spec.tail // HOPS  # a multiple of it: frames then fall where they do from the start
        return math.ceil((WARM_UP_SAMPLES + int(self.delay_samples)) / hop) * hop

    def zero_state(self, batch: int) -> State:
        spec, device = self.spec, self.scale.device
        bins, heard_samples = spec.window_samples // 2 + 1, spec.window_samples + int(self.delay_samples)
        return (
            torch.zeros(batch, heard_samples, dtype=torch.float64, device=device),
            torch.zeros(batch, dtype=torch.int64, device=device),
            torch.zeros(batch, 2 * spec.tail, dtype=torch.float64, device=device),
            torch.zeros(batch, bins, dtype=torch.float64, device=device),
            torch.zeros(batch, bins, dtype=torch.complex128, device=device),
        )

    def initial_state(self, batch: int = 1, start_sample: int = 0) -> State:
        return self.zero_state(batch)  # which is that of silence

    def step(self, dry: Tensor, state: State) -> tuple[Tensor, State]:
        with torch.no_grad():
            heard = (dry[:, 0] / self.scale[0]).double()
            before, since, pending, angles, last = (s.cpu().numpy().copy() for s in state)
            played = np.concatenate([before, heard.cpu().numpy()], axis=1)
            samples = dry.shape[-1]
            delayed = played[:, : self.spec.window_samples + samples]
            shifted = [
                self._shift(delayed[row], int(since[row]), pending[row], angles[row], last[row])
                for row in range(len(dry))
            ]
            out = torch.from_numpy(np.stack(shifted)).to(dry.device)  # (B, N + 2 tail)
            raw = self.shifted_gain * out[:, :samples] + self.dry_gain * heard
            after = (
                played[:, samples:],
                (since + samples) % (self.spec.tail // HOPS),
                out[:, samples:].cpu().numpy(),
                angles,
                last,
            )
            return raw.to(dry.dtype)[:, None], tuple(torch.from_numpy(s).to(dry.device) for s in after)

    def _shift(self, played: Array, since: int, pending: Array, angles: Array, last: Spectrum) -> Array:
        """Shifted sound (N + 2 tail,) of one row: N samples, and what the frames so far add to later ones."""
        shift = compiled()  # by the first block, whether or not a frame ends in it
        window, tail = self.spec.window_samples, self.spec.tail
        hop, samples = tail // HOPS, len(played) - window
        out = np.zeros(samples + 2 * tail)
        out[: 2 * tail] = pending
        frames = (since + samples) // hop
        if not frames:
            return out
        analysis, synthesis = windows(window, tail)
        first = hop - since  # samples of this block in the first frame
        framed = np.lib.stride_tricks.sliding_window_view(played[first:], window)[::hop][:frames]
        spectra = np.fft.rfft(framed * analysis, axis=1)
        ratio = 2.0 ** (float(self.semitones) / 12.0)
        spectra = shift(spectra, ratio, window, hop, window - tail, angles, last)
        spectra *= self.bin_gains.detach().cpu().numpy()
        grains = np.fft.irfft(spectra, n=window, axis=1)[:, window - 2 * tail :] * synthesis
        for part in range(2 * HOPS):  # frames overlap by all but a hop
            start = first - 1 + part * hop
            out[start : start + frames * hop] += grains[:, part * hop : (part + 1) * hop].ravel()
        return out

    def initialise(self, recordings: Sequence[Recording], sample_rate: int, rng: torch.Generator) -> None:
        pieces = pieces_of(recordings, sample_rate)
        dry_gain, ratio = fit_dry_gain(pieces), float(self.scale[0] / self.scale[1])
        shifted = [r._replace(wet=r.wet - np.float32(dry_gain) * r.dry) for r in pieces]
        with torch.no_grad():
            self.semitones.fill_(fit_semitones(shifted, sample_rate))
            self.shifted_gain.fill_(ratio)
            self.dry_gain.fill_(0.0)
            self.bin_gains.fill_(1.0)
            self.delay_samples.fill_(0)
            self._equalise(shifted, sample_rate)
            self.delay_samples.fill_(fit_delay(self.predict, shifted, sample_rate))
            self._equalise(shifted, sample_rate)  # what the delay and the first have changed: bands overlap
            self.dry_gain.fill_(ratio * dry_gain)

    def _equalise(self, pieces: Sequence[Recording], sample_rate: int) -> None:
        missing_db = fit_bands(self.predict, pieces, sample_rate)
        gains = bin_gains(missing_db, self.spec.window_samples, sample_rate)
        self.bin_gains.mul_(torch.from_numpy(gains).to(self.bin_gains))
