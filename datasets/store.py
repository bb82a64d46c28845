"""The sample store: shards of dry and wet segments, and a manifest with every shard's hash.

A shard's name holds its hash and the manifest is written last, so that neither a writer that stopped nor one
that replaces a store ever leaves a mixture. Every read is checked against the hash.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from datasets.folder import Folder
from datasets.manifest import RecordingEntry, ShardEntry, Split, StoreManifest
from datasets.shard import SEGMENT_SAMPLES, Segment, decode_shard
from fxcore.audio import Recording, Signal
from fxcore.errors import StoreError
from fxcore.files import reason

__all__ = ["MANIFEST", "SEGMENT_SAMPLES", "SampleStore"]

MANIFEST = "manifest.json"


class SampleStore:
    """A store that exists, open for reading."""

    def __init__(self, folder: Folder, manifest: StoreManifest) -> None:
        self.uri, self.manifest = folder.uri, manifest
        self._folder = folder

    @classmethod
    def open(cls, uri: str | Path, patience_seconds: float = 0.0) -> Self:
        """The store at a path or `s3://bucket/prefix`; raises `StoreError` where there is none.

        A server that fails is asked again for `patience_seconds`, at each read.
        """
        folder = Folder.at(uri, patience_seconds)
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
        """Every recording of a split, whole and read-only; raises `StoreError` naming a corrupt shard."""
        return self.read(self.entries(name))

    def stream(self, recordings: Split | Sequence[RecordingEntry]) -> Iterator[Recording]:
        """A split, or these recordings, one by one: in memory are one of them and the bytes of two shards."""
        entries = self.entries(recordings) if isinstance(recordings, str) else recordings
        by_name = {entry.name: entry for entry in entries}
        parts: dict[str, list[Segment]] = {name: [] for name in by_name}
        for segment in self.segments(entries):
            name = segment.recording
            parts[name].append(segment)
            if segment.position + len(segment.dry) == by_name[name].samples:
                whole = parts.pop(name)
                dry, wet = _joined([p.dry for p in whole]), _joined([p.wet for p in whole])
                yield Recording(name, dry, wet, by_name[name].start_sample)

    def entries(self, split: Split) -> list[RecordingEntry]:
        """The recordings of a split; raises `StoreError` where it has none."""
        found = [entry for entry in self.manifest.recordings if entry.split == split]
        if not found:
            held = sorted({entry.split for entry in self.manifest.recordings})
            raise StoreError(f"{self.uri} holds no '{split}' recordings; it holds: {', '.join(held)}")
        return found

    def read(self, entries: Sequence[RecordingEntry]) -> list[Recording]:
        """These recordings, from the shards that hold them."""
        found = {recording.name: recording for recording in self.stream(entries)}
        return [found[entry.name] for entry in entries]

    def segments(self, entries: Sequence[RecordingEntry]) -> Iterator[Segment]:
        """What these recordings consist of, in the order of the shards, decoded some seconds at a time.

        Raises `StoreError` where a shard is corrupt, or holds other than the manifest says.
        """
        missing = {entry.name: entry.samples for entry in entries}
        held = dict.fromkeys(missing, 0)
        shards = [shard for shard in self.manifest.shards if not missing.keys().isdisjoint(shard.recordings)]
        for shard, data in zip(shards, self._ahead(shards), strict=True):
            for segment in decode_shard(data, missing.keys() & shard.recordings):
                name = segment.recording
                starts_right = segment.position == held[name]
                held[name] += len(segment.dry)
                if not starts_right or held[name] > missing[name]:
                    raise self._incomplete(name)
                yield segment
            for name in missing.keys() & shard.recordings:
                if held[name] != missing.pop(name):
                    raise self._incomplete(name)
        for name in missing:
            raise self._incomplete(name)

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

    def _incomplete(self, name: str) -> StoreError:
        return StoreError(f"{self.uri}: no shard holds {name} as the manifest has it; make the store again")

    def _ahead(self, shards: Sequence[ShardEntry]) -> Iterator[bytes]:
        """Bytes of shards, each read and checked while the one before is decoded."""
        with ThreadPoolExecutor(1) as reader:
            coming: deque[Future[bytes]] = deque()
            for shard in shards:
                coming.append(reader.submit(self._checked, shard))
                if len(coming) > 1:
                    yield coming.popleft().result()
            if coming:
                yield coming.popleft().result()

    def _checked(self, shard: ShardEntry) -> bytes:
        """A shard's bytes, once their hash is found right."""
        try:
            data = self._folder.read(shard.file)
        except FileNotFoundError:
            raise StoreError(f"{self.uri}: shard {shard.file} is missing; make it again") from None
        except OSError as error:
            raise StoreError(f"{self.uri}: shard {shard.file} cannot be read: {reason(error)}") from None
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            raise StoreError(f"{self.uri}: shard {shard.file} is corrupt (its hash differs); make it again")
        return data


def _joined(parts: list[npt.NDArray[np.float32]]) -> Signal:
    """(1, T) of parts (T,); one alone is not copied."""
    return (parts[0] if len(parts) == 1 else np.concatenate(parts))[None]
