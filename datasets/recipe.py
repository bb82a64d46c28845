"""Recipe: all that decides a rendered store."""

import json
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from datasets.manifest import SPLITS, RecordingEntry, Split, without_place
from datasets.shard import Origin
from datasets.training_audio import TrainingAudio
from fxcore.audio import Signal
from fxcore.effects import EFFECTS, Effect
from fxcore.generators.track import Track
from fxcore.spec import Spec, digest_of


class Splits(Spec):
    """Tracks a split; each has notes of its own."""

    train: int = Field(6, ge=1)
    validation: int = Field(1, ge=1)
    test: int = Field(1, ge=1)


class Recipe(Spec):
    """Tracks of random notes, or of one's own music, and the effect they are played through."""

    sample_rate: int = Field(44_100, ge=8_000, le=192_000)  # Hz
    seed: int = Field(0, ge=0)
    effect: Annotated[Effect, *EFFECTS.field()]
    track: Track = Track()
    training_audio: TrainingAudio | None = None
    splits: Splits = Splits()

    @property
    def tracks(self) -> int:
        """Over all splits."""
        return self.splits.train + self.splits.validation + self.splits.test

    def pinned(self) -> "Recipe":
        """With the files of its training audio chosen and hashed; raises what `TrainingAudio.chosen` does."""
        if self.training_audio is None:
            return self
        counts = {split: self.training_audio.count(getattr(self.splits, split)) for split in SPLITS}
        segments = {split: count * self.track.segments for split, count in counts.items()}
        return self.model_copy(update={"training_audio": self.training_audio.chosen(self.seed, segments)})

    def data_digest(self) -> str:
        """The identity of what a pinned recipe makes, wherever its training audio lies."""
        return digest_of(without_place(self.as_dict()))

    def entry(self, index: int) -> RecordingEntry:
        """Name, split and length of track `index`."""
        split, number = self._place(index)
        samples = self.track.n_samples(self.sample_rate)
        return RecordingEntry(name=f"{split}-{number}", split=split, samples=samples)

    def dry(self, index: int) -> Signal:
        """Track `index`, (1, T), of a pinned recipe."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, index]))
        split, number = self._place(index)
        if self.training_audio is not None and self.training_audio.holds(number):
            return self.training_audio.render(self.track, split, number, self.sample_rate, rng)
        return self.track.render(self.sample_rate, rng)

    def origin(self, index: int) -> Origin:
        """What rows say of how track `index` was made."""
        split, number = self._place(index)
        generator: dict[str, Any] = {"kind": "track", **self.track.as_dict()}
        if self.training_audio is not None and self.training_audio.holds(number):
            generator = {"kind": "music", "files": self.training_audio.names(self.track, split, number)}
        effect = _json(self.effect.as_dict())
        return Origin(_json(generator), effect, _played(effect, self.sample_rate), self.data_digest())

    def _place(self, index: int) -> "_Place":
        return [_Place(s, i) for s in SPLITS for i in range(getattr(self.splits, s))][index]


class _Place(NamedTuple):
    """A track among those of its split."""

    split: Split
    number: int


@lru_cache(maxsize=8)
def _played(effect: str, sample_rate: int) -> str:
    """An effect's settings as it plays them; asked once a process, for a plug-in takes its time to tell."""
    return _json(EFFECTS.parse(json.loads(effect)).as_played(sample_rate))


def _json(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"), sort_keys=True)
