"""Dry tracks: segments of random notes, after the generator of McCool's thesis (2018).

Segments differ in how many notes sound at once, how much is silent, how long notes are and how
loud, so that a model meets chords and single notes, attacks and tails, whispers and full scale.
"""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from fxcore.audio import Signal
from fxcore.generators import GENERATORS
from fxcore.generators.base import Generator, log_uniform, rising
from fxcore.spec import Spec

FADE_MS = 5.0
ACCENT_DB = 12.0  # the softest note of a segment lies this far below the loudest

Notes = Annotated[int, Field(ge=1, le=16)]
Share = Annotated[float, Field(ge=0.0, le=0.95)]
Milliseconds = Annotated[float, Field(ge=10.0, le=60_000.0)]
Dbfs = Annotated[float, Field(ge=-120.0, le=0.0)]


class Track(Spec):
    """A dry track. Each range is drawn from once a segment.

    Args:
        segments: how many segments follow each other.
        segment_seconds: the length of each.
        generators: the kinds of notes, all as likely as each other.
        density: notes that sound at once.
        gap_share: the part of a segment that is digital silence.
        note_ms: length of notes; those of a segment lie within an octave of a typical length.
        level_dbfs: peak of a segment's loudest note; the others are up to 12 dB below. A track's
            segments spread over the whole range, in random order.
    """

    segments: int = Field(3, ge=1, le=10_000)
    segment_seconds: float = Field(10.0, ge=0.1, le=600.0)
    generators: Annotated[tuple[Annotated[Generator, *GENERATORS.field()], ...], Field(min_length=1)] = Field(
        default_factory=lambda: tuple(GENERATORS.parse(kind) for kind in GENERATORS)
    )
    density: Annotated[tuple[Notes, Notes], AfterValidator(rising)] = (1, 3)
    gap_share: Annotated[tuple[Share, Share], AfterValidator(rising)] = (0.0, 0.3)
    note_ms: Annotated[tuple[Milliseconds, Milliseconds], AfterValidator(rising)] = (60.0, 2000.0)
    level_dbfs: Annotated[tuple[Dbfs, Dbfs], AfterValidator(rising)] = (-24.0, 0.0)

    def n_samples(self, sample_rate: int) -> int:
        """Length in samples at this sample rate."""
        return self.segments * round(self.segment_seconds * sample_rate)

    def render(self, sample_rate: int, rng: np.random.Generator) -> Signal:
        """The track (1, T), its peak at or below full scale: a pure function of spec and `rng`."""
        track = np.zeros((1, self.n_samples(sample_rate)), np.float32)
        levels_dbfs = self.draw_levels(rng)
        for segment, level_dbfs in zip(np.split(track, self.segments, axis=1), levels_dbfs, strict=True):
            self._fill(segment[0], level_dbfs, sample_rate, rng)
        return track

    def draw_levels(self, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """A level in dBFS for each segment, spread over the whole range in random order."""
        low_dbfs, high_dbfs = self.level_dbfs
        shares = (rng.permutation(self.segments) + rng.uniform(size=self.segments)) / self.segments
        levels: npt.NDArray[np.float64] = low_dbfs + shares * (high_dbfs - low_dbfs)
        return levels

    def _fill(
        self, segment: npt.NDArray[np.float32], level_dbfs: float, sample_rate: int, rng: np.random.Generator
    ) -> None:
        """Write one segment's notes into zeros (T,), which belong to the track."""
        density = int(rng.integers(self.density[0], self.density[1] + 1))
        gap_samples = round(rng.uniform(*self.gap_share) * len(segment))
        lengths = self._lengths(len(segment) - gap_samples, sample_rate, rng)
        silence_before = np.sort(rng.integers(0, gap_samples + 1, len(lengths)))  # in all, before each note
        starts = np.cumsum(lengths) - lengths + silence_before
        below_db = rng.uniform(0.0, ACCENT_DB, len(lengths))
        gains = 10 ** ((level_dbfs - below_db + below_db.min()) / 20)
        for start, length, gain in zip(starts, lengths, gains, strict=True):
            segment[start : start + length] = gain * self._chord(int(length), density, sample_rate, rng)

    def _lengths(self, total: int, sample_rate: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Random lengths in samples that add up to `total`; the last takes what is too short for another."""
        shortest_ms, longest_ms = self.note_ms
        typical_ms = log_uniform(self.note_ms, rng)
        limits_ms = max(shortest_ms, typical_ms / 2), min(longest_ms, typical_ms * 2)
        lengths: list[int] = []
        while total > 0:
            length = round(log_uniform(limits_ms, rng) * sample_rate / 1000)
            lengths.append(length if total - length >= shortest_ms * sample_rate / 1000 else total)
            total -= lengths[-1]
        return np.array(lengths, np.int64)

    def _chord(
        self, n_samples: int, density: int, sample_rate: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Notes (n_samples,) that end together, peak 1: the first at once, the others in its first half."""
        chord = np.zeros(n_samples)
        for note in range(density):
            start = int(rng.integers(0, n_samples // 2 + 1)) if note else 0
            generator = self.generators[rng.integers(len(self.generators))]
            samples = generator.render(n_samples - start, sample_rate, rng)[0]
            fade(samples, sample_rate)
            chord[start:] += samples
        peak = np.abs(chord).max(initial=0.0)
        return chord / peak if peak > 0 else chord


def fade(notes: npt.NDArray[np.float32], sample_rate: int) -> None:
    """Let notes (T,) rise and fall over 5 ms along a raised cosine, from and to zero, in place."""
    fade_samples = min(round(FADE_MS * sample_rate / 1000), len(notes) // 2)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade_samples) / max(fade_samples, 1))
    notes[:fade_samples] *= rise
    notes[len(notes) - fade_samples :] *= rise[::-1]
