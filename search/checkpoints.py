"""Checkpoints of a search's trials, on a file system that all its machines see, or on S3.

CHECKPOINTS/IDENTITY/0007.safetensors is what a trial was at its report 7. A running trial has its last two:
should the last be corrupt, the one before is there. A trial that has ended has its last, which holds its best
weights too. A file is never written over by an older one: a machine that was cut off and comes back does no
harm.
"""

import tempfile
from contextlib import suppress
from pathlib import Path

from datasets.cache import cache_root
from datasets.folder import Folder
from fxcore.errors import CheckpointError, FxError, NotKeptError
from fxcore.files import reason, write_bytes
from fxcore.training import Progress, encode_progress, load_progress

PATIENCE_SECONDS = 90.0  # for an S3 server that fails
SUFFIX = ".safetensors"


class Checkpoints:
    """The checkpoints of one search, at a path or at s3://bucket/prefix."""

    def __init__(self, place: str | Path) -> None:
        self.folder = Folder.at(place, PATIENCE_SECONDS)

    def save(self, identity: str, progress: Progress) -> None:
        """Write a trial's checkpoint and drop those before its last two.

        Raises `NotKeptError` where it could not be written; the last two are still there then.
        """
        folder = self.folder.below(identity)
        try:
            folder.replace(_name(progress.report.index), encode_progress(progress, identity))
            for old in _newest_first(folder)[2:]:
                with suppress(FileNotFoundError):
                    folder.delete(old)
        except (FxError, OSError) as error:
            told = f"{folder.uri}: {reason(error)}" if isinstance(error, OSError) else str(error)
            raise NotKeptError(f"its checkpoint was not kept: {told}") from None

    def newest(self, identity: str) -> Progress | None:
        """Where a trial goes on: its newest checkpoint that is whole; None where there is none."""
        folder = self.folder.below(identity)
        for name in _newest_first(folder):
            with suppress(CheckpointError):  # refused by its hash
                return self._load(folder, name, identity)
        return None

    def has(self, identity: str) -> bool:
        """Whether a trial has a checkpoint."""
        return bool(_newest_first(self.folder.below(identity)))

    def path(self, identity: str) -> Path:
        """The newest file of a trial on this machine; one that is not there where the trial has none."""
        folder = self.folder.below(identity)
        name = next(iter(_newest_first(folder)), _name(0))
        if folder.local is not None:
            return folder.local / name
        path = cache_root() / "checkpoints" / identity / name
        if name != _name(0) and not path.exists():
            write_bytes(path, folder.read(name))
        return path

    def settle(self, identity: str) -> None:
        """Keep but the last of a trial that has ended, and nothing that was left half written."""
        folder = self.folder.below(identity)
        for old in {*folder.files()} - {*_newest_first(folder)[:1]}:
            with suppress(FileNotFoundError):
                folder.delete(old)

    def remove(self, identity: str) -> None:
        """Drop all of a trial."""
        self.folder.below(identity).remove()

    def _load(self, folder: Folder, name: str, identity: str) -> Progress:
        if folder.local is not None:
            return load_progress(folder.local / name, identity)
        with tempfile.TemporaryDirectory() as scrap:
            path = Path(scrap) / name
            path.write_bytes(folder.read(name))
            return load_progress(path, identity)


def _name(index: int) -> str:
    return f"{index:04d}{SUFFIX}"


def _newest_first(folder: Folder) -> list[str]:
    return [name for name in reversed(folder.files()) if name.endswith(SUFFIX) and not name.startswith(".")]
