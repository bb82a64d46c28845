"""Render a store: dry tracks, and what an effect makes of them.

A shard is one track and a pure function of the recipe and its index: any worker makes any shard, and the
same recipe gives the same bytes. Shards of a render that was stopped, or killed, wait in a hidden folder
beside the store's place until the same recipe is rendered there again, or another one is finished there.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeAlias

from datasets.manifest import ShardEntry, StoreManifest
from datasets.pool import in_processes
from datasets.probes import play_probes
from datasets.recipe import Recipe, Splits
from datasets.shard import SEGMENT_SAMPLES, encode_shard
from datasets.store import SampleStore
from datasets.writing import StoreWriter, program, writing
from fxcore.audio import Recording, check_not_silent
from fxcore.errors import AudioError, EffectError
from fxcore.spec import digest_of

__all__ = ["Made", "Recipe", "ShardMaker", "Splits", "render", "render_shard"]

Made: TypeAlias = Generator[tuple[int, bytes], None, None]  # index and bytes of shards, in any order
ShardMaker: TypeAlias = Callable[[Recipe, Sequence[int]], Made]


def render_shard(recipe: Recipe, index: int) -> bytes:
    """Track `index` of a pinned recipe, encoded; a pure function of both."""
    entry = recipe.entry(index)
    dry = recipe.dry(index)
    wet = recipe.effect(dry, recipe.sample_rate)  # checks shape and samples
    try:
        check_not_silent(wet, f"what {recipe.effect.kind} made of {entry.name}")
    except AudioError as error:
        raise EffectError(f"{error}, or the effect's settings") from None
    return encode_shard([(entry, Recording(entry.name, dry, wet))], recipe.origin(index))


def render(
    recipe: Recipe,
    out: str | Path,
    *,
    overwrite: bool = False,
    workers: int = 1,
    maker: ShardMaker | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SampleStore:
    """Render every track into a store at `out`; the bytes are the same whoever makes the shards.

    Args:
        workers: processes of this machine. maker: what makes shards in their stead, in any order.
        progress: is told the tracks done, those that an earlier render left among them, and those in all.

    Raises what `writing`, `Recipe.pinned` and the effect raise.
    """
    recipe = recipe.pinned()
    with writing(out, overwrite=overwrite, key=_key(recipe)) as writer:
        shards = _left(writer, recipe)
        missing = [index for index in range(recipe.tracks) if index not in shards]
        if progress is not None and shards:
            progress(len(shards), recipe.tracks)
        make = maker or partial(_make_here, workers=workers)
        with closing(make(recipe, missing)) as made:
            for index, data in made:
                shards[index] = writer.write_encoded(data)
                if progress is not None:
                    progress(len(shards), recipe.tracks)
        writer.finish(
            StoreManifest(
                sample_rate=recipe.sample_rate,
                segment_samples=SEGMENT_SAMPLES,
                source=f"effect {recipe.effect.kind}",
                recipe=recipe.as_dict(),
                recordings=tuple(recipe.entry(index) for index in range(recipe.tracks)),
                shards=tuple(shards[index] for index in range(recipe.tracks)),
                probes=play_probes(recipe.effect, recipe.dry(0), recipe.sample_rate),
                as_played=recipe.effect.as_played(recipe.sample_rate),
            )
        )
    return SampleStore.open(out)


def _key(recipe: Recipe) -> str:
    """What an unfinished store is found by: another version may make other samples of the same recipe."""
    return digest_of([recipe.data_digest(), program()])[:16]


def _left(writer: StoreWriter, recipe: Recipe) -> dict[int, ShardEntry]:
    """Shards that an earlier render has made, by index, each checked against its hash."""
    digest = recipe.data_digest()
    taken = {i: writer.take_over(recipe.entry(i).name, digest) for i in range(recipe.tracks)}
    return {index: shard for index, shard in taken.items() if shard is not None}


def _make_here(recipe: Recipe, indices: Sequence[int], workers: int) -> Made:
    return in_processes(partial(render_shard, recipe), indices, min(workers, len(indices)))
