"""A shard: a Parquet file whose rows are fixed-length segments of recordings.

A row is `recording`, `split`, `position` (samples from the recording's start), `length` (samples that count),
`generator`, `effect` and `controls` (JSON; what made the dry, the effect as it was set, and as it played) and
`dry` and `wet` as fixed-size float32 lists, zero-padded in a recording's last row. What is the same in every
row is dictionary-encoded and costs next to nothing. The footer holds what the manifest says of the shard.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.manifest import RecordingEntry, RowStatistics, ShardEntry
from fxcore.audio import Recording, Signal

SEGMENT_SAMPLES = 65_536
GROUP_ROWS = 32  # of a row group, the least that is decoded at once: 17 MB

_SEGMENT = pa.list_(pa.field("element", pa.float32(), nullable=False), SEGMENT_SAMPLES)
_COLUMNS = {
    "recording": pa.string(),
    "split": pa.string(),
    "position": pa.int64(),
    "length": pa.int32(),
    "generator": pa.string(),
    "effect": pa.string(),
    "controls": pa.string(),
    "dry": _SEGMENT,
    "wet": _SEGMENT,
}
# Without nulls, arrow decodes half as fast again.
SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _COLUMNS.items()])
WORDS = ["recording", "split", "generator", "effect", "controls"]
READ = ["recording", "position", "length", "dry", "wet"]
FOOTER = b"fxsearch"


class Origin(NamedTuple):
    """How recordings were made, as JSON; `null` where nobody knows."""

    generator: str = "null"
    effect: str = "null"
    controls: str = "null"
    recipe: str = ""  # digest of all that decides the store, if there is one


UNKNOWN = Origin()


class Segment(NamedTuple):
    """A stretch of a recording: dry and wet (T,), from `position` on."""

    recording: str
    position: int
    dry: npt.NDArray[np.float32]
    wet: npt.NDArray[np.float32]


def encode_shard(samples: Iterable[tuple[RecordingEntry, Recording]], origin: Origin = UNKNOWN) -> bytes:
    """Parquet bytes of whole recordings, cut into segments; a pure function.

    Byte-stream split with zstd is the smallest of what `benchmarks/store.py` measures, and reads fast.
    """
    samples = list(samples)
    footer = {
        "recipe": origin.recipe,
        "recordings": [entry.name for entry, _ in samples],
        "statistics": _statistics([recording for _, recording in samples]).as_dict(),
    }
    table = pa.concat_tables([to_table(entry, recording, origin) for entry, recording in samples])
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata({FOOTER: json.dumps(footer)}),
        sink,
        compression="zstd",
        compression_level=3,
        use_dictionary=WORDS,
        column_encoding={"dry.list.element": "BYTE_STREAM_SPLIT", "wet.list.element": "BYTE_STREAM_SPLIT"},
        write_statistics=["recording", "split", "position"],
        row_group_size=GROUP_ROWS,
    )
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def shard_entry(data: bytes) -> ShardEntry:
    """The manifest's line on a shard that `encode_shard` made."""
    sha256 = hashlib.sha256(data).hexdigest()
    metadata = pq.read_metadata(pa.BufferReader(data))
    footer = json.loads(metadata.metadata[FOOTER])
    return ShardEntry(
        file=f"{footer['recordings'][0]}-{sha256[:16]}.parquet",
        sha256=sha256,
        rows=metadata.num_rows,
        recordings=tuple(footer["recordings"]),
        statistics=RowStatistics.from_dict(footer["statistics"]),
    )


def left_shard(data: bytes, file: str, recipe: str) -> ShardEntry | None:
    """As `shard_entry`; None where the bytes are not those the file's name tells, or of another recipe."""
    if hashlib.sha256(data).hexdigest()[:16] != file.removesuffix(".parquet")[-16:]:
        return None
    footer = json.loads(pq.read_metadata(pa.BufferReader(data)).metadata.get(FOOTER, b"{}"))
    return shard_entry(data) if footer.get("recipe") == recipe else None


def decode_shard(data: bytes, recordings: Collection[str]) -> Iterator[Segment]:
    """The segments of these recordings in a shard's bytes, read-only, one row group in memory at a time."""
    file = pq.ParquetFile(pa.BufferReader(data))
    column = file.schema_arrow.names.index("recording")
    for group in range(file.num_row_groups):
        names = file.metadata.row_group(group).column(column).statistics
        if names is None or any(names.min <= name <= names.max for name in recordings):
            for batch in file.read_row_group(group, columns=READ).to_batches():
                yield from _segments(batch, recordings)


def to_table(entry: RecordingEntry, recording: Recording, origin: Origin = UNKNOWN) -> pa.Table:
    """The rows of one recording."""
    rows = -(-entry.samples // SEGMENT_SAMPLES)
    positions = np.arange(rows, dtype=np.int64) * SEGMENT_SAMPLES

    def segments(signal: Signal) -> pa.Array:
        padded = np.pad(signal[0], (0, rows * SEGMENT_SAMPLES - entry.samples))
        return pa.FixedSizeListArray.from_arrays(pa.array(padded, pa.float32()), type=_SEGMENT)

    columns = [
        *(pa.array([word] * rows) for word in (entry.name, entry.split)),
        pa.array(positions),
        pa.array(np.minimum(entry.samples - positions, SEGMENT_SAMPLES).astype(np.int32)),
        *(pa.array([word] * rows) for word in (origin.generator, origin.effect, origin.controls)),
        segments(recording.dry),
        segments(recording.wet),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _segments(batch: pa.RecordBatch, recordings: Collection[str]) -> Iterator[Segment]:
    """Rows of these recordings, those that follow each other in one piece; views of the batch."""
    names = batch.column("recording").to_pylist()
    positions, lengths = (batch.column(c).to_pylist() for c in ("position", "length"))
    dry, wet = (batch.column(c).flatten().to_numpy() for c in ("dry", "wet"))  # (rows · SEGMENT_SAMPLES,)
    first = 0
    for row in range(1, len(names) + 1):
        goes_on = (
            row < len(names)
            and names[row] == names[first]
            and lengths[row - 1] == SEGMENT_SAMPLES
            and positions[row] == positions[row - 1] + SEGMENT_SAMPLES
        )
        if goes_on:
            continue
        if names[first] in recordings:
            span = slice(first * SEGMENT_SAMPLES, (row - 1) * SEGMENT_SAMPLES + lengths[row - 1])
            yield Segment(names[first], positions[first], dry[span], wet[span])
        first = row


def _statistics(recordings: list[Recording]) -> RowStatistics:
    """To six digits, which every machine agrees on."""

    def peak(signals: list[Signal]) -> float:
        return max(float(np.abs(signal).max()) for signal in signals)

    def rms(signals: list[Signal]) -> float:
        energy = sum(float(np.square(signal, dtype=np.float64).sum()) for signal in signals)
        return float(f"{np.sqrt(energy / sum(signal.size for signal in signals)):.6g}")

    dry, wet = [r.dry for r in recordings], [r.wet for r in recordings]
    return RowStatistics(dry_peak=peak(dry), dry_rms=rms(dry), wet_peak=peak(wet), wet_rms=rms(wet))
