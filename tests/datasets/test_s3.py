"""Stores in a bucket: the same promises as on a disk, kept against a real S3 server."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from datasets.cache import cached_split
from datasets.folder import Folder
from datasets.inspect import inspect_store
from datasets.manifest import RecordingEntry
from datasets.recipe import Recipe, Splits
from datasets.render import render
from datasets.store import MANIFEST, SampleStore
from datasets.writing import writing
from fxcore.audio import Recording
from fxcore.effects.distortion import Distortion
from fxcore.errors import EffectError, OutputExistsError, StoreError
from fxcore.generators.track import Track

pytestmark = pytest.mark.cluster

Piece = tuple[RecordingEntry, Recording]
Write = Callable[..., SampleStore]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the S3 server has stopped"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Host and port of an S3 server with a bucket called `stores`."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            wait_for(port, process)
            fs.S3FileSystem(
                endpoint_override=f"127.0.0.1:{port}",
                scheme="http",
                region="us-east-1",
                allow_bucket_creation=True,
            ).create_dir("stores")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def uri(server: str, request: pytest.FixtureRequest) -> str:
    """A place of its own for each test."""
    return f"s3://stores/{request.node.name}/store?scheme=http&endpoint_override={server}&region=us-east-1"


def test_a_store_is_read_back_from_a_bucket(
    uri: str, pieces: list[Piece], write: Write, tmp_path: Path
) -> None:
    store = write(uri, pieces)
    assert store.verify() == []
    assert store.digest == write(tmp_path / "local", pieces).digest
    for split in ("train", "validation", "test"):
        cached = cached_split(uri, split, tmp_path / "cache")
        written = [recording for entry, recording in pieces if entry.split == split]
        for got, expected in zip(cached, written, strict=True):
            np.testing.assert_array_equal(got.wet, expected.wet)


RECIPE = Recipe(
    sample_rate=8000,
    effect=Distortion(),
    track=Track(segments=1, segment_seconds=0.5),
    splits=Splits(train=2),
)


def contents(uri: str) -> dict[str, bytes]:
    folder = Folder.at(uri)
    return {file: folder.read(file) for file in folder.files()}


def interrupt(done: int, total: int) -> None:
    if done == total // 2:
        raise KeyboardInterrupt


def test_a_rendered_store_in_a_bucket_has_the_same_bytes_as_one_on_a_disk(uri: str, tmp_path: Path) -> None:
    render(RECIPE, uri)
    render(RECIPE, tmp_path / "store")
    assert contents(uri) == contents(str(tmp_path / "store"))


def test_an_interrupted_render_goes_on_in_a_bucket(uri: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        render(RECIPE, uri, progress=interrupt)
    with pytest.raises(StoreError, match="no finished sample store"):
        SampleStore.open(uri)
    told = []
    render(RECIPE, uri, progress=lambda *done: told.append(done))
    assert told == [(2, 4), (3, 4), (4, 4)]
    render(RECIPE, tmp_path / "store")
    assert contents(uri) == contents(str(tmp_path / "store"))


def test_a_render_takes_nothing_over_from_another_store_in_its_place(uri: str, tmp_path: Path) -> None:
    render(RECIPE, uri)
    other = RECIPE.model_copy(update={"seed": 7})
    with pytest.raises(KeyboardInterrupt):
        render(other, uri, overwrite=True, progress=interrupt)
    assert SampleStore.open(uri).verify() == []
    with pytest.raises(OutputExistsError):
        render(other, uri)
    told = []
    render(other, uri, overwrite=True, progress=lambda *done: told.append(done))
    assert told == [(2, 4), (3, 4), (4, 4)]
    render(other, tmp_path / "store")
    assert contents(uri) == contents(str(tmp_path / "store"))


def test_an_unfinished_render_is_in_the_way_of_another_until_it_is_overwritten(uri: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        render(RECIPE, uri, progress=interrupt)
    other = RECIPE.model_copy(update={"seed": 7})
    with pytest.raises(OutputExistsError):
        render(other, uri)
    store = render(other, uri, overwrite=True)
    assert set(contents(uri)) == {MANIFEST, *(shard.file for shard in store.manifest.shards)}


def test_a_render_that_makes_nothing_leaves_nothing(uri: str) -> None:
    silent = RECIPE.model_copy(update={"track": Track(segments=1, level_dbfs=(-120.0, -120.0))})
    with pytest.raises(EffectError, match="silent"):
        render(silent, uri)
    assert contents(uri) == {}


def test_nothing_at_an_address(uri: str) -> None:
    with pytest.raises(StoreError, match="no sample store at s3://"):
        SampleStore.open(uri)


def test_an_unfinished_store_is_told(uri: str, pieces: list[Piece], write: Write) -> None:
    write(uri, pieces)
    Folder.at(uri).delete(MANIFEST)
    with pytest.raises(StoreError, match="no finished sample store"):
        SampleStore.open(uri)


def write_and_raise(uri: str, piece: Piece, *, overwrite: bool = False) -> None:
    with writing(uri, overwrite=overwrite) as writer:
        writer.write_shard([piece])
        raise KeyboardInterrupt


def test_an_interrupted_writer_leaves_nothing(uri: str, pieces: list[Piece]) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(uri, pieces[0])
    assert Folder.at(uri).files() == []


def test_an_interrupted_overwrite_keeps_the_old_store(
    uri: str, pieces: list[Piece], piece: Callable[..., Piece], write: Write
) -> None:
    store = write(uri, pieces)
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(uri, piece("train-0", "train", 10, 7), overwrite=True)
    assert SampleStore.open(uri).digest == store.digest
    assert store.verify() == []
    assert len(Folder.at(uri).files()) == 5


def test_overwrite_replaces_a_store_and_its_shards(
    uri: str, pieces: list[Piece], piece: Callable[..., Piece], write: Write
) -> None:
    write(uri, pieces)
    with pytest.raises(OutputExistsError):
        write(uri, pieces)
    new = write(uri, [piece("train-0", "train", 10, 7)], overwrite=True)
    assert new.verify() == []
    assert Folder.at(uri).files() == [MANIFEST, new.manifest.shards[0].file]


def test_a_corrupt_and_a_deleted_shard_are_named(uri: str, pieces: list[Piece], write: Write) -> None:
    store = write(uri, pieces)
    corrupt, deleted, *_ = (shard.file for shard in store.manifest.shards)
    Folder.at(uri).write(corrupt, b"PAR1")
    Folder.at(uri).delete(deleted)
    problems = inspect_store(store, verify=True).problems
    assert len(problems) == 2
    assert corrupt in problems[0]
    assert deleted in problems[1]
    with pytest.raises(StoreError, match=corrupt):
        store.split("train")


def test_a_bucket_that_is_not_there_is_told_in_one_line(uri: str, pieces: list[Piece], write: Write) -> None:
    elsewhere = uri.replace("s3://stores/", "s3://no-such-bucket/")
    with pytest.raises(StoreError, match="could not be written") as error:
        write(elsewhere, pieces)
    assert "\n" not in str(error.value)
