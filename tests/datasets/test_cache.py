"""The cache: decoded once, never half, and never another store's."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.cache import cache_root, cached_split
from datasets.manifest import RecordingEntry
from datasets.store import MANIFEST, SampleStore
from fxcore.audio import Recording
from fxcore.errors import StoreError
from fxcore.training.windows import Windows

Piece = tuple[RecordingEntry, Recording]


def equal(got: list[Recording], expected: list[Recording]) -> bool:
    return len(got) == len(expected) and all(
        a.name == b.name and np.array_equal(a.dry, b.dry) and np.array_equal(a.wet, b.wet)
        for a, b in zip(got, expected, strict=True)
    )


def test_the_cache_holds_what_the_store_holds(tmp_path: Path, store: SampleStore) -> None:
    for split in ("train", "validation", "test"):
        cached = cached_split(store, split, tmp_path / "cache")
        assert equal(cached, store.split(split))
        assert cached[0].dry.shape == (1, store.entries(split)[0].samples)


def test_a_store_may_be_named_by_its_place(tmp_path: Path, store: SampleStore) -> None:
    assert equal(cached_split(store.uri, "train", tmp_path / "cache"), store.split("train"))


def test_the_second_look_reads_no_shard(tmp_path: Path, store: SampleStore) -> None:
    expected = store.split("train")
    cached_split(store, "train", tmp_path / "cache")
    for shard in store.manifest.shards:
        (Path(store.uri) / shard.file).unlink()
    assert equal(cached_split(store, "train", tmp_path / "cache"), expected)


def test_nothing_temporary_is_left(tmp_path: Path, store: SampleStore) -> None:
    cached_split(store, "train", tmp_path / "cache")
    files = [
        path.relative_to(tmp_path / "cache") for path in (tmp_path / "cache").rglob("*") if path.is_file()
    ]
    assert files == [Path(store.digest) / "train.npy"]


def test_tensors_take_the_samples_as_they_are_and_no_write_reaches_the_file(
    tmp_path: Path, store: SampleStore
) -> None:
    wet = torch.from_numpy(cached_split(store, "train", tmp_path / "cache")[0].wet)  # warns where read-only
    wet.zero_()
    assert equal(cached_split(store, "train", tmp_path / "cache"), store.split("train"))


@pytest.mark.parametrize("rest", [0, 50, 200_000])
def test_a_file_cut_short_is_made_again(tmp_path: Path, store: SampleStore, rest: int) -> None:
    cached_split(store, "train", tmp_path / "cache")
    file = tmp_path / "cache" / store.digest / "train.npy"
    data = file.read_bytes()
    file.write_bytes(data[:rest])
    assert equal(cached_split(store, "train", tmp_path / "cache"), store.split("train"))
    assert file.read_bytes() == data


def test_a_file_of_another_length_is_made_again(tmp_path: Path, store: SampleStore) -> None:
    (tmp_path / "cache" / store.digest).mkdir(parents=True)
    np.save(tmp_path / "cache" / store.digest / "train.npy", np.zeros(10, np.float32))
    assert equal(cached_split(store, "train", tmp_path / "cache"), store.split("train"))


def test_a_file_of_another_shape_is_made_again(tmp_path: Path, store: SampleStore) -> None:
    cached = cached_split(store, "train", tmp_path / "cache")
    file = tmp_path / "cache" / store.digest / "train.npy"
    np.save(file, np.zeros(cached.dry.size + cached.wet.size, np.float32))
    assert equal(cached_split(store, "train", tmp_path / "cache"), store.split("train"))


def test_windows_are_views_of_the_cache(tmp_path: Path, store: SampleStore) -> None:
    cached = cached_split(store, "train", tmp_path / "cache")
    windows = Windows(cached, 100, 50)
    assert np.shares_memory(windows.dry.numpy(), cached.dry)
    assert np.shares_memory(windows.wet.numpy(), cached.wet)


def test_recordings_lie_in_the_order_of_the_manifest_whatever_that_of_the_shards(
    tmp_path: Path, store: SampleStore
) -> None:
    backwards = store.manifest.model_copy(update={"shards": store.manifest.shards[::-1]})
    (Path(store.uri) / MANIFEST).write_bytes(backwards.to_json())
    again = SampleStore.open(store.uri)
    assert equal(cached_split(again, "train", tmp_path / "cache"), store.split("train"))
    assert equal(again.split("train"), store.split("train"))


def test_a_corrupt_store_leaves_no_cache(tmp_path: Path, store: SampleStore) -> None:
    (Path(store.uri) / store.manifest.shards[0].file).write_bytes(b"")
    with pytest.raises(StoreError, match="corrupt"):
        cached_split(store, "train", tmp_path / "cache")
    assert list((tmp_path / "cache" / store.digest).iterdir()) == []


def test_another_store_has_a_cache_of_its_own(
    tmp_path: Path, store: SampleStore, piece: Callable[..., Piece], write: Callable[..., SampleStore]
) -> None:
    cached_split(store, "train", tmp_path / "cache")
    other = write(store.uri, [piece("train-0", "train", 50, 3)], overwrite=True)
    assert equal(cached_split(other, "train", tmp_path / "cache"), other.split("train"))


def look(uri: str, root: Path, gate: "multiprocessing.synchronize.Barrier") -> None:
    gate.wait(timeout=60)
    if not equal(cached_split(uri, "train", root), SampleStore.open(uri).split("train")):
        raise SystemExit(1)


def test_processes_that_race_all_see_the_whole(tmp_path: Path, store: SampleStore) -> None:
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(4)
    processes = [context.Process(target=look, args=(store.uri, tmp_path / "cache", gate)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * 4


def test_the_environment_names_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FXSEARCH_CACHE", str(tmp_path / "elsewhere"))
    assert cache_root() == tmp_path / "elsewhere"
    monkeypatch.delenv("FXSEARCH_CACHE")
    assert cache_root() == Path.home() / ".cache" / "fxsearch"
