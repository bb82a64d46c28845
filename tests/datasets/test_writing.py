"""Writing a store: whole or not at all, and never over something else."""

import errno
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets.manifest import RecordingEntry
from datasets.store import SampleStore
from datasets.writing import writing
from fxcore.audio import Recording
from fxcore.errors import OutputExistsError, StoreError

Piece = tuple[RecordingEntry, Recording]
Write = Callable[..., SampleStore]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_but_the_store_is_left(tmp_path: Path, store: SampleStore) -> None:
    assert names(tmp_path) == ["store"]
    assert names(tmp_path / "store") == sorted(["manifest.json", *(s.file for s in store.manifest.shards)])


def test_a_store_may_take_an_empty_folder(tmp_path: Path, pieces: list[Piece], write: Write) -> None:
    (tmp_path / "store").mkdir()
    assert write(tmp_path / "store", pieces).verify() == []


def test_parents_are_made(tmp_path: Path, pieces: list[Piece], write: Write) -> None:
    assert write(tmp_path / "a" / "b" / "store", pieces).verify() == []


def write_and_raise(
    out: Path, pieces: list[Piece], error: type[BaseException], *, overwrite: bool = False
) -> None:
    with writing(out, overwrite=overwrite) as writer:
        writer.write_shard(pieces[:1])
        assert len(names(out.parent)) == 1 + out.exists(), "something is under way"
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_writer_leaves_nothing(
    tmp_path: Path, pieces: list[Piece], error: type[BaseException]
) -> None:
    with pytest.raises(error):
        write_and_raise(tmp_path / "store", pieces, error)
    assert names(tmp_path) == []


def test_an_existing_store_is_refused_and_kept(
    tmp_path: Path, store: SampleStore, piece: Callable[..., Piece], write: Write
) -> None:
    with pytest.raises(OutputExistsError, match="exists already; give another place, or --overwrite"):
        write(tmp_path / "store", [piece("train-0", "train", 10)])
    assert SampleStore.open(tmp_path / "store").digest == store.digest


def test_overwrite_replaces_a_store_and_its_shards(
    tmp_path: Path, store: SampleStore, piece: Callable[..., Piece], write: Write
) -> None:
    new = write(tmp_path / "store", [piece("train-0", "train", 10, 7)], overwrite=True)
    assert new.verify() == []
    assert new.digest != store.digest
    assert names(tmp_path) == ["store"]
    assert names(tmp_path / "store") == ["manifest.json", new.manifest.shards[0].file]


def test_overwriting_with_the_same_changes_nothing(
    tmp_path: Path, store: SampleStore, pieces: list[Piece], write: Write
) -> None:
    again = write(tmp_path / "store", pieces, overwrite=True)
    assert again.digest == store.digest
    assert again.verify() == []


def test_an_interrupted_overwrite_keeps_the_old_store(
    tmp_path: Path, store: SampleStore, piece: Callable[..., Piece]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(
            tmp_path / "store", [piece("train-0", "train", 10, 7)], KeyboardInterrupt, overwrite=True
        )
    assert names(tmp_path) == ["store"]
    assert SampleStore.open(tmp_path / "store").digest == store.digest
    assert store.verify() == []


def test_overwrite_mends_an_unfinished_store(
    tmp_path: Path, store: SampleStore, pieces: list[Piece], write: Write
) -> None:
    (tmp_path / "store" / "manifest.json").unlink()
    assert write(tmp_path / "store", pieces, overwrite=True).digest == store.digest


def test_overwrite_never_touches_a_folder_of_other_files(
    tmp_path: Path, pieces: list[Piece], write: Write
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(
        StoreError, match=r"only a sample store can be replaced; .*/home also holds 'thesis\.txt'"
    ):
        write(tmp_path / "home", pieces, overwrite=True)
    assert names(tmp_path / "home") == ["thesis.txt"]
    assert names(tmp_path) == ["home"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_the_place_is_kept(
    tmp_path: Path, pieces: list[Piece], write: Write, overwrite: bool
) -> None:
    (tmp_path / "store").write_text("words")
    with pytest.raises(StoreError, match=r"a store is a folder; .* is a file"):
        write(tmp_path / "store", pieces, overwrite=overwrite)
    assert (tmp_path / "store").read_text() == "words"


def test_of_two_writers_the_slower_one_is_told(tmp_path: Path, pieces: list[Piece], write: Write) -> None:
    def slowly(out: Path) -> None:
        with writing(out) as writer:
            writer.write_shard(pieces[:1])
            faster = write(out, pieces)
            writer.finish(faster.manifest.model_copy(update={"shards": tuple(writer.shards)}))

    with pytest.raises(OutputExistsError):
        slowly(tmp_path / "store")
    kept = SampleStore.open(tmp_path / "store")
    assert len(kept.manifest.shards) == len(pieces)
    assert kept.verify() == []
    assert names(tmp_path) == ["store"]


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="could not be written: the disk is full; free some space") as error,
        writing(tmp_path / "store"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A real failing write: the process may not make a file longer than 100 kB."""
    script = f"""
        import resource, signal
        import numpy as np
        from datasets.manifest import RecordingEntry
        from datasets.writing import writing
        from fxcore.audio import Recording
        from fxcore.errors import StoreError

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        noise = np.random.default_rng(0).uniform(-1, 1, (1, 100_000)).astype(np.float32)
        entry = RecordingEntry(name="train-0", split="train", samples=100_000)
        try:
            with writing({str(tmp_path / "store")!r}) as writer:
                writer.write_shard([(entry, Recording("train-0", noise, noise))])
        except StoreError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout.strip()
        == f"{tmp_path}/store could not be written: the disk is full; free some space, or give another place"
    )
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path, pieces: list[Piece], write: Write) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(StoreError, match="could not be written"):
        write(tmp_path / "file" / "store", pieces)


def test_created_by_says_which_version(store: SampleStore) -> None:
    assert store.manifest.created_by.startswith("fxsearch ")
