"""Shards of a rendered store as tasks of a Ray cluster; the bytes are those that one machine makes."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ray
from ray.exceptions import RayError, RayTaskError

from datasets.pool import AHEAD
from datasets.recipe import Recipe
from datasets.render import Made, ShardMaker, render_shard
from fxcore.errors import FxError, SearchError
from search.engine.ray_session import connected

MAX_RETRIES = 3  # of a task whose worker or node died


def on_cluster(address: str | None) -> ShardMaker:
    """What `render` takes as `maker`: the cluster at `address`, else a Ray started on this machine."""
    return partial(_make, address)


def _make(address: str | None, recipe: Recipe, indices: Sequence[int]) -> Made:
    """Raises what the recipe's effect raises, and `SearchError` where the cluster fails."""
    if not indices:
        return
    with connected(address):
        task = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(_render_in).remote
        waiting = list(reversed(indices))
        running: dict[ray.ObjectRef, int] = {}
        while waiting or running:
            while waiting and len(running) < AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))):
                index = waiting.pop()
                running[task(Path.cwd(), recipe, index)] = index
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(ready), _result(ready)


def _render_in(folder: Path, recipe: Recipe, index: int) -> bytes:
    """A shard, made where relative paths mean what they do to the driver, if this machine has the folder."""
    if folder.is_dir():
        os.chdir(folder)
    return render_shard(recipe, index)


def _result(shard: ray.ObjectRef) -> bytes:
    try:
        data: bytes = ray.get(shard)
    except RayTaskError as error:
        raise error.cause if isinstance(error.cause, FxError) else error from None
    except RayError as error:
        raise SearchError(f"the cluster lost a shard ({str(error).splitlines()[0]}); render again") from None
    return data
