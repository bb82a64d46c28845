"""Render a store: tracks of random notes, and what an effect makes of them.

A shard is one track and a pure function of the recipe and its index: any worker makes any shard, and the
same recipe gives the same bytes.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from datasets.manifest import SPLITS, RecordingEntry, Split, StoreManifest
from datasets.probes import play_probes
from datasets.store import SEGMENT_SAMPLES, SampleStore, encode_shard
from datasets.writing import writing
from fxcore.audio import Recording, Signal, check_not_silent
from fxcore.effects import EFFECTS, Effect
from fxcore.errors import AudioError, EffectError
from fxcore.generators.track import Track
from fxcore.spec import Spec


class Splits(Spec):
    """Tracks a split; each has notes of its own."""

    train: int = Field(6, ge=1)
    validation: int = Field(1, ge=1)
    test: int = Field(1, ge=1)


class Recipe(Spec):
    """All that decides a rendered store."""

    sample_rate: int = Field(44_100, ge=8_000, le=192_000)  # Hz
    seed: int = Field(0, ge=0)
    effect: Annotated[Effect, *EFFECTS.field()]
    track: Track = Track()
    splits: Splits = Splits()

    @property
    def tracks(self) -> int:
        """Over all splits."""
        return self.splits.train + self.splits.validation + self.splits.test

    def entry(self, index: int) -> RecordingEntry:
        """Name, split and length of track `index`."""
        places: list[tuple[Split, int]] = [(s, i) for s in SPLITS for i in range(getattr(self.splits, s))]
        split, number = places[index]
        samples = self.track.n_samples(self.sample_rate)
        return RecordingEntry(name=f"{split}-{number}", split=split, samples=samples)

    def dry(self, index: int) -> Signal:
        """Track `index`, (1, T)."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, index]))
        return self.track.render(self.sample_rate, rng)


class Shard(NamedTuple):
    """A rendered shard, and the recording in it."""

    data: bytes
    entry: RecordingEntry


def render_shard(recipe: Recipe, index: int) -> Shard:
    """Track `index` of a recipe, encoded; a pure function of both."""
    entry = recipe.entry(index)
    dry = recipe.dry(index)
    wet = recipe.effect(dry, recipe.sample_rate)  # checks shape and samples
    try:
        check_not_silent(wet, f"what {recipe.effect.kind} made of {entry.name}")
    except AudioError as error:
        raise EffectError(f"{error}, or the effect's settings") from None
    return Shard(encode_shard([(entry, Recording(entry.name, dry, wet))]), entry)


def render(
    recipe: Recipe,
    out: str | Path,
    *,
    overwrite: bool = False,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SampleStore:
    """Render every track into a store at `out`; any number of worker processes gives the same bytes.

    `progress` is told the tracks done and those in all. Raises what `writing` and the effect raise.
    """
    with (
        writing(out, overwrite=overwrite) as writer,
        _rendered(recipe, min(workers, recipe.tracks)) as shards,
    ):
        entries = []
        for shard in shards:
            writer.write_encoded(shard.data, [shard.entry.name])
            entries.append(shard.entry)
            if progress is not None:
                progress(len(entries), recipe.tracks)
        writer.finish(
            StoreManifest(
                sample_rate=recipe.sample_rate,
                segment_samples=SEGMENT_SAMPLES,
                source=f"effect {recipe.effect.kind}",
                recipe=recipe.as_dict(),
                recordings=tuple(entries),
                shards=tuple(writer.shards),
                probes=play_probes(recipe.effect, recipe.dry(0), recipe.sample_rate),
            )
        )
    return SampleStore.open(out)


@contextmanager
def _rendered(recipe: Recipe, workers: int) -> Iterator[Iterator[Shard]]:
    """All shards in order, as they become ready."""
    make = partial(render_shard, recipe)
    if workers <= 1:
        yield map(make, range(recipe.tracks))
        return
    # A server that imports once and holds no thread of ours: plain forks may inherit a locked mutex.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        yield pool.map(make, range(recipe.tracks))
    finally:
        pool.shutdown(cancel_futures=True)
