"""Shards: rows with their place and origin, what the footer says, and that origins cost nothing."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.manifest import RecordingEntry
from datasets.shard import SEGMENT_SAMPLES, Origin, decode_shard, encode_shard, left_shard, shard_entry
from fxcore.audio import Recording

Piece = tuple[RecordingEntry, Recording]
ORIGIN = Origin('{"kind":"track"}', '{"kind":"fuzz"}', '{"drive_db":36.0}', "d" * 32)


def table_of(data: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))


def test_rows_are_segments_with_their_place(pieces: list[Piece]) -> None:
    table = table_of(encode_shard(pieces[:1]))
    assert table.column_names == [
        *("recording", "split", "position", "length", "generator", "effect", "controls", "dry", "wet")
    ]
    assert table["recording"].to_pylist() == ["train-0"] * 3
    assert table["split"].to_pylist() == ["train"] * 3
    assert table["position"].to_pylist() == [0, SEGMENT_SAMPLES, 2 * SEGMENT_SAMPLES]
    assert table["length"].to_pylist() == [SEGMENT_SAMPLES, SEGMENT_SAMPLES, 5]
    last = np.array(table["wet"][2].as_py())
    assert len(last) == SEGMENT_SAMPLES
    assert not last[5:].any()


def test_every_row_says_how_it_was_made(pieces: list[Piece]) -> None:
    table = table_of(encode_shard(pieces[:1], ORIGIN))
    for name in ("generator", "effect", "controls"):
        assert table[name].to_pylist() == [getattr(ORIGIN, name)] * 3


def test_of_recordings_nothing_is_said(pieces: list[Piece]) -> None:
    table = table_of(encode_shard(pieces[:1]))
    for name in ("generator", "effect", "controls"):
        assert {json.loads(value) for value in table[name].to_pylist()} == {None}


def test_a_long_origin_costs_its_length_once(piece: Callable[..., Piece]) -> None:
    long = [piece("train-0", "train", 20 * SEGMENT_SAMPLES)]
    origin = Origin(generator=json.dumps({"files": [str(n) for n in range(400)]}))
    assert len(encode_shard(long, origin)) - len(encode_shard(long)) < len(origin.generator)


def test_the_same_samples_make_the_same_bytes(pieces: list[Piece]) -> None:
    assert encode_shard(pieces, ORIGIN) == encode_shard(pieces, ORIGIN)


def test_statistics_in_closed_form() -> None:
    square = np.where(np.arange(1000) % 2 == 0, 0.5, -0.5)[None].astype(np.float32)
    loud = np.pad(square, ((0, 0), (0, 3000)))  # a quarter sounds: half the level
    pieces = [
        (RecordingEntry(name="train-0", split="train", samples=4000), Recording("train-0", loud, 2 * loud)),
        (RecordingEntry(name="train-1", split="train", samples=4000), Recording("train-1", loud, 0 * loud)),
    ]
    entry = shard_entry(encode_shard(pieces))
    assert (entry.rows, entry.recordings) == (2, ("train-0", "train-1"))
    assert entry.statistics is not None
    assert (entry.statistics.dry_peak, entry.statistics.dry_rms) == (0.5, 0.25)
    assert entry.statistics.wet_peak == 1.0
    assert entry.statistics.wet_rms == pytest.approx(0.5 / np.sqrt(2), rel=1e-5)


def test_only_the_recordings_asked_for_are_decoded(pieces: list[Piece]) -> None:
    data = encode_shard(pieces)
    for entry, recording in pieces:
        segments = list(decode_shard(data, [entry.name]))
        assert {segment.recording for segment in segments} == {entry.name}
        np.testing.assert_array_equal(np.concatenate([s.wet for s in segments]), recording.wet[0])


def test_what_was_left_is_taken_if_whole_and_of_the_recipe(pieces: list[Piece]) -> None:
    data = encode_shard(pieces[:1], ORIGIN)
    entry = shard_entry(data)
    assert left_shard(data, entry.file, ORIGIN.recipe) == entry
    assert left_shard(data[:-1], entry.file, ORIGIN.recipe) is None
    assert left_shard(data, entry.file, "e" * 32) is None
