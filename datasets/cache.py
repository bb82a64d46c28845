"""A store's splits, decoded once a machine into memory-mapped files.

`ROOT/DIGEST/split.npy` is float32 (2, T): the dries of all recordings end to end, then their wets. It is
keyed by the manifest's digest, written under a temporary name and renamed: two processes that race make the
same file, and a half-written one is never used. Decoding holds some seconds and some shards' bytes in memory.
"""

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from datasets.manifest import RecordingEntry, Split
from datasets.store import SampleStore
from fxcore.audio import Signal
from fxcore.files import replacing
from fxcore.splice import Spliced

ITEM = np.dtype(np.float32)


def cached_split(store: SampleStore | str | Path, split: Split, root: Path | None = None) -> Spliced:
    """The recordings of a split, memory-mapped; writing to them changes no file.

    `root` defaults to `cache_root()`. Raises `StoreError` where the store is corrupt, `FxError` where the
    cache's disk is full.
    """
    if not isinstance(store, SampleStore):
        store = SampleStore.open(store)
    entries = store.entries(split)
    path = (root or cache_root()) / store.digest / f"{split}.npy"
    lengths = [entry.samples for entry in entries]
    if not _is_whole(path, sum(lengths)):
        _write(path, store, entries)
    held: Signal = np.load(path, mmap_mode="c", allow_pickle=False)
    starts = [entry.start_sample for entry in entries]
    return Spliced([entry.name for entry in entries], lengths, held[:1], held[1:], starts)


def cache_root() -> Path:
    """`$FXSEARCH_CACHE`, else `~/.cache/fxsearch`."""
    return Path(os.environ.get("FXSEARCH_CACHE") or Path.home() / ".cache" / "fxsearch")


def _is_whole(path: Path, samples: int) -> bool:
    """Whether the file holds that many samples of dry and of wet."""
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # missing, cut short, no .npy
        return False
    return bool(held.shape == (2, samples) and held.dtype == ITEM)


def _write(path: Path, store: SampleStore, entries: list[RecordingEntry]) -> None:
    """Decode segment by segment: a memory map written to instead would crash on a full disk."""
    starts, total = {}, 0
    for entry in entries:
        starts[entry.name] = total
        total += entry.samples
    header = {"descr": npy.dtype_to_descr(ITEM), "fortran_order": False, "shape": (2, total)}
    with replacing(path) as part, part.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        samples_at = file.tell()
        for segment in store.segments(entries):
            for side, row in ((segment.dry, 0), (segment.wet, 1)):
                sample = row * total + starts[segment.recording] + segment.position
                file.seek(samples_at + sample * ITEM.itemsize)
                file.write(side.data)
