"""A folder of whole files, on this machine or in an S3 bucket, through pyarrow.fs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa
from pyarrow import fs

from fxcore.errors import StoreError
from fxcore.files import write_bytes

T = TypeVar("T")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0


class Folder(NamedTuple):
    """A place for files; every error is an `OSError` unless said."""

    uri: str  # as the user gave it
    filesystem: fs.FileSystem
    root: str
    patience_seconds: float = 0.0  # for a server that answers with an error of its own

    @classmethod
    def at(cls, uri: str | Path, patience_seconds: float = 0.0) -> "Folder":
        """The folder at a path or `s3://bucket/prefix?scheme=http&endpoint_override=host:port`.

        It need not exist. Where a server fails, it is asked again for `patience_seconds`. Raises `StoreError`
        for what is no address.
        """
        text = str(uri)
        if "://" not in text:
            return cls(text, fs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
        if "@" in text.split("://", 1)[1].split("/", 1)[0]:
            raise StoreError(
                "a store's address holds no credentials, it is shown and kept; give them by environment "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or profile"
            )
        try:
            filesystem, root = fs.FileSystem.from_uri(text)
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"a store's place is a path or s3://bucket/prefix; got {text} ({str(error).splitlines()[0]})"
            ) from None
        return cls(text, filesystem, root.rstrip("/"), patience_seconds)

    @property
    def local(self) -> Path | None:
        """Its path, where it is on this machine."""
        return Path(self.root) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def below(self, *parts: str) -> "Folder":
        """A folder in it."""
        address, mark, query = self.uri.partition("?")
        uri = "/".join([address.rstrip("/"), *parts]) + mark + query
        return self._replace(uri=uri, root="/".join([self.root, *parts]))

    def files(self) -> list[str]:
        """Names of what lies in it; none where there is no such folder."""
        selector = fs.FileSelector(self.root, allow_not_found=True)
        infos = self._patiently(lambda: self.filesystem.get_file_info(selector))
        return sorted(info.base_name for info in infos)

    def read(self, file: str) -> bytes:
        """All bytes of a file."""

        def act() -> bytes:
            with self.filesystem.open_input_file(f"{self.root}/{file}") as source:  # a stream reads piecemeal
                data: bytes = source.read()
            return data

        return self._patiently(act)

    def write(self, file: str, data: bytes) -> None:
        """Write a file in one go."""

        def act() -> None:
            with self.filesystem.open_output_stream(f"{self.root}/{file}") as stream:
                stream.write(data)

        self._patiently(act)

    def replace(self, file: str, data: bytes) -> None:
        """Write a file whole or not at all, in a folder that may be new; raises `FxError` on this machine."""
        if self.local is not None:
            write_bytes(self.local / file, data)
        else:
            self.write(file, data)  # an object is there when its upload has ended

    def delete(self, file: str) -> None:
        """Remove a file."""
        self._patiently(lambda: self.filesystem.delete_file(f"{self.root}/{file}"))

    def remove(self) -> None:
        """Remove the folder with all that is in it, if it is there."""

        def act() -> None:
            if self.filesystem.get_file_info(self.root).type == fs.FileType.Directory:
                self.filesystem.delete_dir(self.root)

        self._patiently(act)

    def _patiently(self, act: Callable[[], T]) -> T:
        """What `act` gives, tried again where the server failed and not the request."""
        limit, pause = time.monotonic() + self.patience_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return act()
            except (FileNotFoundError, PermissionError):
                raise
            except OSError:
                if self.local is not None or time.monotonic() > limit:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
