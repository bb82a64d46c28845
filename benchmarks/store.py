"""How small and how fast a sample store's shards are, by encoding and compression.

    python benchmarks/store.py                  # rendered notes through a distortion
    python benchmarks/store.py dry.wav wet.wav  # recordings of yours

One thread; the best of five reads. `datasets/store.py` uses the row marked *.
"""

import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.manifest import RecordingEntry
from datasets.store import to_table
from fxcore.audio import Recording, read_mono
from fxcore.effects.distortion import Distortion
from fxcore.generators.track import Track

USED = ("BYTE_STREAM_SPLIT", "zstd", 3)
CODECS = (("none", None), ("snappy", None), ("lz4", None), ("zstd", 1), ("zstd", 3), ("zstd", 9))


def main(paths: list[str]) -> None:
    """Print the table."""
    pa.set_cpu_count(1)
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
    sink = pa.BufferOutputStream()
    start = time.perf_counter()
    pq.write_table(
        table,
        sink,
        compression=codec,
        compression_level=level,
        use_dictionary=["recording", "split"],
        column_encoding={f"{side}.list.element": encoding for side in ("dry", "wet")},
        row_group_size=32,
    )
    write_s = time.perf_counter() - start
    data = sink.getvalue()
    reads = []
    for _ in range(5):
        start = time.perf_counter()
        pq.read_table(pa.BufferReader(data), use_threads=False)
        reads.append(time.perf_counter() - start)
    return data.size, write_s, min(reads)


if __name__ == "__main__":
    main(sys.argv[1:])
