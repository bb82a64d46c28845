"""Write a sample store whole or not at all.

A local store is made in a folder beside its place and renamed; in S3, where nothing can be renamed, it
begins to exist with its manifest. A store that is replaced stays readable until the new manifest, whose
arrival is atomic in both: shards are named by their hash, so that old and new never share a name.
"""

import contextlib
import importlib.metadata
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datasets.folder import Folder
from datasets.manifest import RecordingEntry, ShardEntry, StoreManifest
from datasets.shard import UNKNOWN, Origin, encode_shard, left_shard, shard_entry
from datasets.store import MANIFEST
from datasets.workplace import marker, remove_leftovers, workplace
from fxcore.audio import Recording
from fxcore.errors import OutputExistsError, StoreError
from fxcore.files import reason

PART_MARKER = re.compile(re.escape(marker("")) + r"\w+")


class StoreWriter:
    """Takes shards in, then the manifest; see `writing`."""

    def __init__(self, folder: Folder, left: Sequence[str] = ()) -> None:
        """`left` are the files of an earlier writer."""
        self._folder, self._left = folder, left
        self.shards: list[ShardEntry] = []
        self.manifest: StoreManifest | None = None

    def write_shard(
        self, samples: Iterable[tuple[RecordingEntry, Recording]], origin: Origin = UNKNOWN
    ) -> ShardEntry:
        """Write whole recordings as one shard."""
        return self.write_encoded(encode_shard(samples, origin))

    def write_encoded(self, data: bytes) -> ShardEntry:
        """Write a shard that `encode_shard` made, perhaps in another process."""
        shard = shard_entry(data)
        self._folder.write(shard.file, data)
        self.shards.append(shard)
        return shard

    def take_over(self, recording: str, recipe: str) -> ShardEntry | None:
        """The shard of this one recording, where an earlier writer of the recipe left it whole."""
        name = re.compile(re.escape(recording) + r"-[0-9a-f]{16}\.parquet")
        for file in filter(name.fullmatch, self._left):
            shard = left_shard(self._folder.read(file), file, recipe)
            if shard is not None:
                self.shards.append(shard)
                return shard
        return None

    def finish(self, manifest: StoreManifest) -> None:
        """Say what was written; the store appears when the `with` block ends."""
        self.manifest = manifest.model_copy(update={"created_by": program()})


@contextmanager
def writing(uri: str | Path, *, overwrite: bool = False, key: str | None = None) -> Iterator[StoreWriter]:
    """A writer of a store at `uri`, which appears when the block ends, or not at all.

    With a `key`, of letters and digits, that stands for all that decides the store, the shards of a writer
    that was stopped stay hidden for the next one with that key to take over. A writer that finishes removes
    them, and all others left at this place.

    Raises `OutputExistsError`, and `StoreError` where the disk is full, the place cannot be written to, or
    `overwrite` would bury files that are no store's.
    """
    place = Folder.at(uri)
    try:
        _check_free(place, overwrite, key)
        unfinished = key is not None and (place.local is not None or marker(key) in place.files())
        with workplace(place, key) as work:
            writer = StoreWriter(work, work.files() if unfinished else [])
            yield writer
            assert writer.manifest is not None, "the writer was not finished"
            _publish(work, place, writer.manifest, overwrite)
        remove_leftovers(place)
    except OSError as error:
        raise StoreError(f"{uri} could not be written: {reason(error)}") from error


def program() -> str:
    """Name and version of what writes."""
    try:
        return f"fxsearch {importlib.metadata.version('fxsearch')}"
    except importlib.metadata.PackageNotFoundError:
        return "fxsearch unknown"


def _check_free(place: Folder, overwrite: bool, key: str | None) -> None:
    if place.local is not None and place.local.is_file():
        raise StoreError(f"a store is a folder; {place.uri} is a file; give another place")
    files = place.files()
    ours = key is not None and marker(key) in files and MANIFEST not in files
    if files and not overwrite and not ours:
        raise OutputExistsError(place.uri)
    foreign = [file for file in files if not _is_store_file(file)]
    if foreign:
        raise StoreError(
            f"only a sample store can be replaced; {place.uri} also holds {foreign[0]!r}; give another place"
        )


def _is_store_file(file: str) -> bool:
    return file == MANIFEST or file.endswith(".parquet") or PART_MARKER.fullmatch(file) is not None


def _publish(work: Folder, place: Folder, manifest: StoreManifest, overwrite: bool) -> None:
    """Make the written shards the store at `place`; the one before, if any, lasts until the manifest."""
    if work.local is None or place.local is None:
        place.write(MANIFEST, manifest.to_json())
    else:
        work.write(MANIFEST, manifest.to_json())
        try:
            work.local.rename(place.local)
        except OSError:
            if not place.local.is_dir():
                raise
            if not overwrite:  # somebody else was faster
                raise OutputExistsError(place.uri) from None
            for shard in manifest.shards:
                (work.local / shard.file).replace(place.local / shard.file)
            (work.local / MANIFEST).replace(place.local / MANIFEST)
            shutil.rmtree(work.local, ignore_errors=True)
    keep = {MANIFEST, *(shard.file for shard in manifest.shards)}
    for file in set(place.files()) - keep:
        with contextlib.suppress(OSError):  # the new store is complete without it
            place.delete(file)
