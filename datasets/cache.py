"""A store's splits, decoded once a machine into memory-mapped files.

`ROOT/DIGEST/split.npy` holds the recordings one after another, each its dry and then its wet, as float32.
It is keyed by the manifest's digest, written under a temporary name and renamed: two processes that race
make the same file, and a half-written one is never used.
"""

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from datasets.manifest import Split
from datasets.store import SampleStore
from fxcore.audio import Recording, Signal
from fxcore.files import replacing


def cached_split(store: SampleStore | str | Path, split: Split, root: Path | None = None) -> list[Recording]:
    """The recordings of a split, memory-mapped; writing to them changes no file.

    `root` defaults to `cache_root()`. Raises `StoreError` where the store is corrupt, `FxError` where the
    cache's disk is full.
    """
    if not isinstance(store, SampleStore):
        store = SampleStore.open(store)
    entries = store.entries(split)
    path = (root or cache_root()) / store.digest / f"{split}.npy"
    total = 2 * sum(entry.samples for entry in entries)
    if not _is_whole(path, total):
        _write(path, store, split, total)
    held: Signal = np.load(path, mmap_mode="c", allow_pickle=False)
    recordings, start = [], 0
    for entry in entries:
        dry, wet = held[start : start + 2 * entry.samples].reshape(2, 1, entry.samples)
        recordings.append(Recording(entry.name, dry, wet))
        start += 2 * entry.samples
    return recordings


def cache_root() -> Path:
    """`$FXSEARCH_CACHE`, else `~/.cache/fxsearch`."""
    return Path(os.environ.get("FXSEARCH_CACHE") or Path.home() / ".cache" / "fxsearch")


def _is_whole(path: Path, total: int) -> bool:
    """Whether the file holds `total` samples."""
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # missing, cut short, no .npy
        return False
    return bool(held.shape == (total,) and held.dtype == np.float32)


def _write(path: Path, store: SampleStore, split: Split, total: int) -> None:
    """Decode recording by recording: a memory map written to instead would crash on a full disk."""
    header = {"descr": npy.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": (total,)}
    with replacing(path) as part, part.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for entry in store.entries(split):
            for recording in store.read([entry]):
                file.write(recording.dry.tobytes())
                file.write(recording.wet.tobytes())
