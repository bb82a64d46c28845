"""Where a store is written until it is whole: a hidden folder beside its place, or, in S3, the place itself.

A workplace with a `key` outlives a writer that was stopped or killed, and the next one with the same key goes
on in it; any other vanishes with its writer. A local one is locked while somebody writes to it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datasets.folder import Folder
from fxcore.errors import StoreError


@contextmanager
def workplace(place: Folder, key: str | None) -> Iterator[Folder]:
    """A folder for the shards of a store to be at `place`.

    Raises `StoreError` where another process writes with the same key.
    """
    if place.local is None:
        with _remote(place, key) as work:
            yield work
        return
    place.local.parent.mkdir(parents=True, exist_ok=True)
    part = _folder(place.local, key)
    try:
        with _locked(part) as alone:
            if not alone:
                raise StoreError(f"{place.uri} is being written by another process; wait for it, or stop it")
            try:
                yield Folder.at(part)
            finally:
                if key is None:
                    shutil.rmtree(part, ignore_errors=True)
    finally:
        with suppress(OSError):
            part.rmdir()  # where nothing was made


def remove_leftovers(place: Folder) -> None:
    """Remove what writers of a local store at `place` left behind, but for those at work."""
    if place.local is None:
        return
    for part in place.local.parent.glob(f"{_prefix(place.local)}*"):
        with suppress(OSError), _locked(part) as alone:
            if alone:
                shutil.rmtree(part, ignore_errors=True)


def marker(key: str) -> str:
    """The file that says in S3 whose unfinished shards are there."""
    return f".part-{key}"


@contextmanager
def _remote(place: Folder, key: str | None) -> Iterator[Folder]:
    """The place itself; what was written there is removed on an error, but for shards under a key."""
    before = set(place.files())
    try:
        if key is not None:
            place.write(marker(key), b"")
        yield place
    except BaseException:
        written = set(place.files()) - before
        if key is None or written == {marker(key)}:
            for file in written:
                place.delete(file)
        raise


def _prefix(place: Path) -> str:
    return f".{place.name}.part-"


def _folder(place: Path, key: str | None) -> Path:
    if key is None:
        part = Path(tempfile.mkdtemp(dir=place.parent, prefix=_prefix(place)))
        part.chmod(0o755)
    else:
        part = place.parent / (_prefix(place) + key)
        part.mkdir(exist_ok=True)
    return part


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether nobody else holds the folder, who then cannot until the block ends or this process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks
        yield True
    finally:
        os.close(handle)
