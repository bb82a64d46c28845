"""A folder of whole files, on this machine or in an S3 bucket, through pyarrow.fs."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyarrow import fs

from fxcore.errors import StoreError


class Folder(NamedTuple):
    """A place for files; every error is an `OSError` unless said."""

    uri: str  # as the user gave it
    filesystem: fs.FileSystem
    root: str

    @classmethod
    def at(cls, uri: str | Path) -> "Folder":
        """The folder at a path or `s3://bucket/prefix?scheme=http&endpoint_override=host:port`.

        It need not exist. Raises `StoreError` for what is no address.
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
        return cls(text, filesystem, root.rstrip("/"))

    @property
    def local(self) -> Path | None:
        """Its path, where it is on this machine."""
        return Path(self.root) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def files(self) -> list[str]:
        """Names of what lies in it; none where there is no such folder."""
        selector = fs.FileSelector(self.root, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def read(self, file: str) -> bytes:
        """All bytes of a file."""
        with self.filesystem.open_input_file(f"{self.root}/{file}") as source:  # a stream reads piecemeal
            data: bytes = source.read()
        return data

    def write(self, file: str, data: bytes) -> None:
        """Write a file in one go."""
        with self.filesystem.open_output_stream(f"{self.root}/{file}") as stream:
            stream.write(data)

    def delete(self, file: str) -> None:
        """Remove a file."""
        self.filesystem.delete_file(f"{self.root}/{file}")
