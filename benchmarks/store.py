"""How small a sample store's shards are, and how fast they are written and read.

    python benchmarks/store.py                  # rendered notes through a distortion
    python benchmarks/store.py dry.wav wet.wav  # the encodings on recordings of yours

Encodings: one thread, the best of five; `datasets/shard.py` uses the row marked *. Reading: a store of ten
minutes in the page cache, against pyarrow.parquet's own reading of the same files in the same run.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from datasets.cache import cached_split
from datasets.manifest import RecordingEntry
from datasets.recipe import Recipe, Splits
from datasets.render import render
from datasets.shard import READ, WORDS, to_table
from datasets.store import SampleStore
from fxcore.audio import Recording, read_mono
from fxcore.effects.distortion import Distortion
from fxcore.generators.track import Track
from fxcore.training.windows import Windows

USED = ("BYTE_STREAM_SPLIT", "zstd", 3)
CODECS = (("none", None), ("snappy", None), ("lz4", None), ("zstd", 1), ("zstd", 3), ("zstd", 9))
ROUNDS = 15


def main(paths: list[str]) -> None:
    """Print both tables."""
    table = to_table(*_recording(paths))
    megabytes = 2 * table.num_rows * len(table["dry"][0]) * 4 / 1e6
    print(f"{megabytes:.0f} MB of dry and wet\n")
    print("| encoding | codec | size | write MB/s | read MB/s |\n|---|---|---|---|---|")
    for encoding in ("PLAIN", "BYTE_STREAM_SPLIT"):
        for codec, level in CODECS:
            size, write_s, read_s = _measure(table, encoding, codec, level)
            name = f"{codec} {level or ''}".strip() + (" *" if (encoding, codec, level) == USED else "")
            print(
                f"| {encoding} | {name} | {size / megabytes / 1e6:.3f} | {megabytes / write_s:.0f} "
                f"| {megabytes / read_s:.0f} |"
            )
    with tempfile.TemporaryDirectory() as folder:
        ten_minutes = Recipe(effect=Distortion(), track=Track(segments=3), splits=Splits(train=20))
        _reading(render(ten_minutes, Path(folder) / "store"), Path(folder))


def _recording(paths: list[str]) -> tuple[RecordingEntry, Recording]:
    if paths:
        dry, wet = (read_mono(path)[0] for path in paths)
    else:
        dry = Track(segments=6).render(44_100, np.random.default_rng(0))
        wet = Distortion()(dry, 44_100)
    samples = min(dry.shape[-1], wet.shape[-1])
    entry = RecordingEntry(name="benchmark", split="train", samples=samples)
    return entry, Recording(entry.name, dry[:, :samples], wet[:, :samples])


def _measure(table: pa.Table, encoding: str, codec: str, level: int | None) -> tuple[int, float, float]:
    """Bytes, seconds to write and seconds to read."""

    def write() -> pa.Buffer:
        sink = pa.BufferOutputStream()
        pq.write_table(
            table,
            sink,
            compression=codec,
            compression_level=level,
            use_dictionary=WORDS,
            column_encoding={f"{side}.list.element": encoding for side in ("dry", "wet")},
            row_group_size=32,
        )
        return sink.getvalue()

    data = write()
    write_s, _ = _best(write, 5)
    read_s, _ = _best(lambda: pq.read_table(pa.BufferReader(data), use_threads=False), 5)
    return data.size, write_s, read_s


def _reading(store: SampleStore, folder: Path) -> None:
    """Print how a store's training split is read; ways take turns, so that all meet the same machine."""
    entries = store.entries("train")
    files = [Path(store.uri) / s.file for s in store.manifest.shards if s.recordings[0].startswith("train")]
    megabytes = 8 * sum(entry.samples for entry in entries) / 1e6

    def plain(columns: list[str] | None = None) -> None:
        for file in files:
            pq.read_table(file, columns=columns)

    def first_batch() -> None:
        recordings = cached_split(SampleStore.open(store.uri), "train", folder / "cache")
        Windows(recordings, 4096, 8192).draw(16, torch.Generator().manual_seed(0))

    ways: dict[str, Callable[[], object]] = {
        "pyarrow.parquet": plain,
        "pyarrow.parquet, the columns in use": lambda: plain(READ),
        "pyarrow.parquet, all kept": lambda: [pq.read_table(file) for file in files],
        "`SampleStore.segments`, verified": lambda: list(map(len, store.segments(entries))),
        "`SampleStore.stream`, verified": lambda: sum(r.dry.size for r in store.stream("train")),
        "`SampleStore.split`, verified, all kept": lambda: store.split("train"),
    }
    start = time.perf_counter()
    first_batch()
    decoded_s = time.perf_counter() - start
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, read in ways.items():
            times[way].append(_best(read, 1))
    base_s, base_cpu_s = (min(column) for column in zip(*times["pyarrow.parquet"], strict=True))
    print(f"\n{megabytes:.0f} MB, best of {ROUNDS}\n")
    print("| reading | MB/s | of pyarrow's | of pyarrow's, by CPU time |\n|---|---|---|---|")
    for way, found in times.items():
        wall_s, cpu_s = (min(column) for column in zip(*found, strict=True))
        print(f"| {way} | {megabytes / wall_s:.0f} | {base_s / wall_s:.2f} | {base_cpu_s / cpu_s:.2f} |")
    cached_s, _ = _best(first_batch, ROUNDS)
    print(f"\nfirst batch: {decoded_s:.2f} s with decoding into the cache, then {cached_s:.4f} s from it")


def _best(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Wall and CPU seconds of the quickest of some calls."""
    found = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(found)


if __name__ == "__main__":
    pa.set_cpu_count(1)
    main(sys.argv[1:])
