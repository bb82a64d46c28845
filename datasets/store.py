"""The sample store: Parquet shards of dry and wet segments, and a manifest with every shard's hash.

A row is one segment of a recording: `recording`, `split`, `position` (samples from the recording's start),
`length` (samples that count), and `dry` and `wet` as fixed-size float32 lists, zero-padded in a recording's
last row. A shard's name holds its hash and the manifest is written last, so that neither a writer that
stopped nor one that replaces a store ever leaves a mixture. Every read is checked against the hash.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.folder import Folder
from datasets.manifest import RecordingEntry, ShardEntry, Split, StoreManifest
from fxcore.audio import Recording, Signal
from fxcore.errors import StoreError
from fxcore.files import reason

MANIFEST = "manifest.json"
SEGMENT_SAMPLES = 65_536

_SEGMENT = pa.list_(pa.field("element", pa.float32(), nullable=False), SEGMENT_SAMPLES)
_COLUMNS = {
    "recording": pa.string(),
    "split": pa.string(),
    "position": pa.int64(),
    "length": pa.int32(),
    "dry": _SEGMENT,
    "wet": _SEGMENT,
}
# Without nulls, arrow decodes half as fast again.
SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _COLUMNS.items()])


class SampleStore:
    """A store that exists, open for reading."""

    def __init__(self, folder: Folder, manifest: StoreManifest) -> None:
        self.uri, self.manifest = folder.uri, manifest
        self._folder = folder

    @classmethod
    def open(cls, uri: str | Path) -> Self:
        """The store at a path or `s3://bucket/prefix`; raises `StoreError` where there is none."""
        folder = Folder.at(uri)
        try:
            text = folder.read(MANIFEST)
        except FileNotFoundError:
            if folder.files():
                raise StoreError(
                    f"{uri} is no finished sample store ({MANIFEST} is missing); make it again"
                ) from None
            raise StoreError(
                f"no sample store at {uri}; make one with `fxsearch render` or `fxsearch import`"
            ) from None
        except OSError as error:
            raise StoreError(f"{uri} cannot be read: {reason(error)}") from None
        return cls(folder, StoreManifest.parse(text, str(uri)))

    @property
    def digest(self) -> str:
        """The identity of the data: equal for equal samples."""
        return self.manifest.digest()

    def split(self, name: Split) -> list[Recording]:
        """Every recording of a split, whole; raises `StoreError` naming a shard that is corrupt."""
        return self.read(self.entries(name))

    def entries(self, split: Split) -> list[RecordingEntry]:
        """The recordings of a split; raises `StoreError` where it has none."""
        found = [entry for entry in self.manifest.recordings if entry.split == split]
        if not found:
            held = sorted({entry.split for entry in self.manifest.recordings})
            raise StoreError(f"{self.uri} holds no '{split}' recordings; it holds: {', '.join(held)}")
        return found

    def read(self, entries: Sequence[RecordingEntry]) -> list[Recording]:
        """These recordings, from the shards that hold them."""
        found = {e.name: Recording(e.name, *np.zeros((2, 1, e.samples), np.float32)) for e in entries}
        for shard in self.manifest.shards:
            if not found.keys().isdisjoint(shard.recordings):
                for name, position, dry, wet in _segments(self._checked(shard), list(found)):
                    span = slice(position, position + dry.shape[-1])
                    found[name].dry[0, span], found[name].wet[0, span] = dry, wet
        return list(found.values())

    def verify(self) -> list[str]:
        """What is wrong with the store, one line a shard; empty where it is whole."""
        return list(self.problems().values())

    def problems(self) -> dict[str, str]:
        """What is wrong with each shard that is missing or corrupt, by its file."""
        found = {}
        for shard in self.manifest.shards:
            try:
                self._checked(shard)
            except StoreError as error:
                found[shard.file] = str(error)
        return found

    def _checked(self, shard: ShardEntry) -> bytes:
        """A shard's bytes, once their hash is found right."""
        try:
            data = self._folder.read(shard.file)
        except OSError as error:
            raise StoreError(f"{self.uri}: shard {shard.file} cannot be read: {reason(error)}") from None
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            raise StoreError(f"{self.uri}: shard {shard.file} is corrupt (its hash differs); make it again")
        return data


def encode_shard(samples: Iterable[tuple[RecordingEntry, Recording]]) -> bytes:
    """Parquet bytes of whole recordings, cut into segments; a pure function.

    Byte-stream split with zstd is the smallest of what `benchmarks/store.py` measures, and reads fast.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.concat_tables([to_table(entry, recording) for entry, recording in samples]),
        sink,
        compression="zstd",
        compression_level=3,
        use_dictionary=["recording", "split"],
        column_encoding={"dry.list.element": "BYTE_STREAM_SPLIT", "wet.list.element": "BYTE_STREAM_SPLIT"},
        write_statistics=["recording", "split", "position"],
        row_group_size=32,
    )
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def shard_entry(data: bytes, recordings: Sequence[str]) -> ShardEntry:
    """The manifest's line on a shard that `encode_shard` made."""
    sha256 = hashlib.sha256(data).hexdigest()
    rows = pq.read_metadata(pa.BufferReader(data)).num_rows
    file = f"{recordings[0]}-{sha256[:16]}.parquet"
    return ShardEntry(file=file, sha256=sha256, rows=rows, recordings=tuple(recordings))


def to_table(entry: RecordingEntry, recording: Recording) -> pa.Table:
    """The rows of one recording."""
    rows = -(-entry.samples // SEGMENT_SAMPLES)
    positions = np.arange(rows, dtype=np.int64) * SEGMENT_SAMPLES

    def segments(signal: Signal) -> pa.Array:
        padded = np.pad(signal[0], (0, rows * SEGMENT_SAMPLES - entry.samples))
        return pa.FixedSizeListArray.from_arrays(pa.array(padded, pa.float32()), type=_SEGMENT)

    columns = [
        pa.array([entry.name] * rows),
        pa.array([entry.split] * rows),
        pa.array(positions),
        pa.array(np.minimum(entry.samples - positions, SEGMENT_SAMPLES).astype(np.int32)),
        segments(recording.dry),
        segments(recording.wet),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _segments(data: bytes, recordings: list[str]) -> Iterator[tuple[str, int, Signal, Signal]]:
    """Recording, position, dry and wet (T,) of each row of these recordings in a shard's bytes."""
    table = pq.read_table(
        pa.BufferReader(data),
        columns=["recording", "position", "length", "dry", "wet"],
        filters=[("recording", "in", recordings)],
    )
    for batch in table.to_batches():
        names = batch.column("recording").to_pylist()
        positions, lengths = (batch.column(c).to_pylist() for c in ("position", "length"))
        # (rows, SEGMENT_SAMPLES), without a copy
        dry, wet = (batch.column(c).flatten().to_numpy().reshape(len(names), -1) for c in ("dry", "wet"))
        for row, (name, position, length) in enumerate(zip(names, positions, lengths, strict=True)):
            yield name, position, dry[row, :length], wet[row, :length]
