"""Write files whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fxcore.errors import FxError


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place at the end, or vanishes on an error.

    Raises `FxError` where the disk is full or the place cannot be written to.
    """
    path = Path(path)
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        part = Path(name)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise FxError(f"{path} could not be written: {reason(error)}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` whole or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)


def reason(error: OSError) -> str:
    """What went wrong and what to do, without the number."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full; free some space, or give another place"
    return error.strerror or str(error)
