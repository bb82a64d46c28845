"""The store: what is read is what was written, and every corruption is found and named."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.manifest import RecordingEntry
from datasets.shard import GROUP_ROWS, SEGMENT_SAMPLES, encode_shard
from datasets.store import MANIFEST, SampleStore
from fxcore.audio import Recording
from fxcore.errors import StoreError

Piece = tuple[RecordingEntry, Recording]


def shard_files(store: SampleStore) -> list[Path]:
    return [Path(store.uri) / shard.file for shard in store.manifest.shards]


def test_a_split_is_read_back_bit_for_bit(store: SampleStore, pieces: list[Piece]) -> None:
    for split in ("train", "validation", "test"):
        read = store.split(split)
        written = [recording for entry, recording in pieces if entry.split == split]
        assert [r.name for r in read] == [r.name for r in written]
        for got, expected in zip(read, written, strict=True):
            assert got.dry.dtype == np.float32
            np.testing.assert_array_equal(got.dry, expected.dry)
            np.testing.assert_array_equal(got.wet, expected.wet)


def test_a_shard_of_several_recordings_is_read_by_split(
    tmp_path: Path, pieces: list[Piece], write: Callable[..., SampleStore]
) -> None:
    store = write(tmp_path / "store", pieces)
    together = encode_shard(pieces)
    first = store.manifest.shards[0]
    (tmp_path / "store" / first.file).write_bytes(together)
    shard = first.model_copy(
        update={
            "sha256": hashlib.sha256(together).hexdigest(),
            "recordings": tuple(e.name for e, _ in pieces),
        }
    )
    manifest = store.manifest.model_copy(update={"shards": (shard,)})
    (tmp_path / "store" / MANIFEST).write_bytes(manifest.to_json())
    (read,) = SampleStore.open(tmp_path / "store").split("test")
    np.testing.assert_array_equal(read.wet, pieces[3][1].wet)


def test_a_stream_gives_one_recording_after_another(store: SampleStore, pieces: list[Piece]) -> None:
    stream = store.stream("train")
    first = next(stream)
    assert first.name == "train-0"
    np.testing.assert_array_equal(first.wet, pieces[0][1].wet)
    assert [recording.name for recording in stream] == ["train-1"]


def test_a_stream_reaches_a_corrupt_shard_only_where_it_lies(store: SampleStore) -> None:
    last = shard_files(store)[1]
    last.write_bytes(b"")
    stream = store.stream("train")
    assert next(stream).name == "train-0"
    with pytest.raises(StoreError, match=last.name):
        next(stream)


def test_samples_that_are_read_are_not_to_be_written(store: SampleStore) -> None:
    (read,) = store.split("test")
    with pytest.raises(ValueError, match="read-only"):
        read.wet[0, 0] = 1.0


def test_segments_are_the_recordings_in_pieces(
    tmp_path: Path, piece: Callable[..., Piece], write: Callable[..., SampleStore]
) -> None:
    entry, recording = piece("train-0", "train", GROUP_ROWS * SEGMENT_SAMPLES + 5)
    store = write(tmp_path / "store", [(entry, recording)])
    segments = list(store.segments([entry]))
    assert [segment.position for segment in segments] == [0, GROUP_ROWS * SEGMENT_SAMPLES]
    np.testing.assert_array_equal(np.concatenate([s.dry for s in segments]), recording.dry[0])
    np.testing.assert_array_equal(store.split("train")[0].wet, recording.wet)


@pytest.mark.parametrize("samples", [2 * SEGMENT_SAMPLES + 4, 2 * SEGMENT_SAMPLES + 6])
def test_a_manifest_that_tells_another_length_is_refused(store: SampleStore, samples: int) -> None:
    first, *others = store.manifest.recordings
    recordings = (first.model_copy(update={"samples": samples}), *others)
    manifest = store.manifest.model_copy(update={"recordings": recordings})
    (Path(store.uri) / MANIFEST).write_bytes(manifest.to_json())
    with pytest.raises(StoreError, match="no shard holds train-0 as the manifest has it"):
        SampleStore.open(store.uri).split("train")


def test_a_recording_in_no_shard_is_named(store: SampleStore) -> None:
    manifest = store.manifest.model_copy(update={"shards": store.manifest.shards[1:]})
    (Path(store.uri) / MANIFEST).write_bytes(manifest.to_json())
    with pytest.raises(StoreError, match="no shard holds train-0"):
        SampleStore.open(store.uri).split("train")


def test_the_digest_follows_the_samples(
    tmp_path: Path, store: SampleStore, pieces: list[Piece], write: Callable[..., SampleStore]
) -> None:
    assert write(tmp_path / "same", pieces).digest == store.digest
    pieces[0][1].wet[0, 0] += 2**-20
    assert write(tmp_path / "other", pieces).digest != store.digest


def test_a_whole_store_verifies(store: SampleStore) -> None:
    assert store.verify() == []


def flip_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "words"),
    [(flip_a_byte, "is corrupt"), (truncate, "is corrupt"), (Path.unlink, "is missing; make it again")],
)
def test_damage_to_a_shard_is_found_and_named(
    store: SampleStore, damage: Callable[[Path], None], words: str
) -> None:
    file = shard_files(store)[0]
    damage(file)
    (problem,) = store.verify()
    assert f"shard {file.name} {words}" in problem
    with pytest.raises(StoreError, match=file.name):
        store.split("train")
    assert store.split("test")  # from a shard that is sound


def test_swapped_shards_are_both_named(store: SampleStore, tmp_path: Path) -> None:
    first, _, second, _ = shard_files(store)
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    problems = store.verify()
    assert len(problems) == 2
    assert first.name in problems[0]
    assert second.name in problems[1]


def test_no_store_at_a_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no sample store at .*; make one with `fxsearch render`"):
        SampleStore.open(tmp_path / "nothing")


def test_a_store_without_a_manifest_is_unfinished(store: SampleStore) -> None:
    (Path(store.uri) / MANIFEST).unlink()
    with pytest.raises(StoreError, match=r"no finished sample store \(manifest\.json is missing\)"):
        SampleStore.open(store.uri)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(StoreError, match="file"):
        SampleStore.open(tmp_path / "file")


def test_an_unknown_split_names_those_there_are(
    tmp_path: Path, piece: Callable[..., Piece], write: Callable[..., SampleStore]
) -> None:
    store = write(tmp_path / "store", [piece("train-0", "train", 100)])
    with pytest.raises(StoreError, match="holds no 'test' recordings; it holds: train"):
        store.split("test")


def test_an_address_of_no_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="a store's place is a path or s3://bucket/prefix; got gopher://x"):
        SampleStore.open("gopher://x")


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(StoreError, match="holds no credentials") as error:
        SampleStore.open("s3://AKIAKEY:hush@bucket/store")
    assert "hush" not in str(error.value)
