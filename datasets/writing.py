"""Write a sample store whole or not at all.

A local store is made in a folder beside its place and renamed; in S3, where nothing can be renamed, it
begins to exist with its manifest. A store that is replaced stays readable until the new manifest, whose
arrival is atomic in both: shards are named by their hash, so that old and new never share a name.
"""

import contextlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets.folder import Folder
from datasets.manifest import RecordingEntry, ShardEntry, StoreManifest
from datasets.store import MANIFEST, encode_shard, shard_entry
from fxcore.audio import Recording
from fxcore.errors import OutputExistsError, StoreError
from fxcore.files import reason


class StoreWriter:
    """Takes shards in, then the manifest; see `writing`."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.shards: list[ShardEntry] = []
        self.manifest: StoreManifest | None = None

    def write_shard(self, samples: Iterable[tuple[RecordingEntry, Recording]]) -> ShardEntry:
        """Write whole recordings as one shard."""
        samples = list(samples)
        return self.write_encoded(encode_shard(samples), [entry.name for entry, _ in samples])

    def write_encoded(self, data: bytes, recordings: list[str]) -> ShardEntry:
        """Write a shard that `encode_shard` made, perhaps in another process."""
        shard = shard_entry(data, recordings)
        self.shards.append(shard)
        self._folder.write(shard.file, data)
        return shard

    def finish(self, manifest: StoreManifest) -> None:
        """Say what was written; the store appears when the `with` block ends."""
        try:
            version = importlib.metadata.version("fxsearch")
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
        self.manifest = manifest.model_copy(update={"created_by": f"fxsearch {version}"})


@contextmanager
def writing(uri: str | Path, *, overwrite: bool = False) -> Iterator[StoreWriter]:
    """A writer of a store at `uri`, which appears when the block ends, or not at all.

    Raises `OutputExistsError`, and `StoreError` where the disk is full, the place cannot be written to, or
    `overwrite` would bury files that are no store's.
    """
    place = Folder.at(uri)
    try:
        _check_free(place, overwrite)
        with _workplace(place) as work:
            writer = StoreWriter(work)
            yield writer
            assert writer.manifest is not None, "the writer was not finished"
            _publish(work, place, writer.manifest, overwrite)
    except OSError as error:
        raise StoreError(f"{uri} could not be written: {reason(error)}") from error


def _check_free(place: Folder, overwrite: bool) -> None:
    if place.local is not None and place.local.is_file():
        raise StoreError(f"a store is a folder; {place.uri} is a file; give another place")
    files = place.files()
    if files and not overwrite:
        raise OutputExistsError(place.uri)
    foreign = [file for file in files if not _is_store_file(file)]
    if foreign:
        raise StoreError(
            f"only a sample store can be replaced; {place.uri} also holds {foreign[0]!r}; give another place"
        )


def _is_store_file(file: str) -> bool:
    return file == MANIFEST or file.endswith(".parquet")


@contextmanager
def _workplace(place: Folder) -> Iterator[Folder]:
    """Where shards are written; whatever is left of an unfinished store in the end is removed."""
    if place.local is None:
        before = set(place.files())
        try:
            yield place
        except BaseException:
            for file in set(place.files()) - before:
                place.delete(file)
            raise
        return
    place.local.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=place.local.parent, prefix=f".{place.local.name}.part-"))
    try:
        part.chmod(0o755)
        yield Folder.at(part)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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
    keep = {MANIFEST, *(shard.file for shard in manifest.shards)}
    for file in set(place.files()) - keep:
        with contextlib.suppress(OSError):  # the new store is complete without it
            place.delete(file)
