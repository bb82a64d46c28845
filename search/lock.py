"""One driver a search: a lock file that the operating system frees when its holder dies."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fxcore.errors import SearchError


@contextmanager
def driving(folder: Path) -> Iterator[None]:
    """Hold the search in `folder`; raises `SearchError` naming who holds it already."""
    path = folder / "driver.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = driver_of(folder)
            raise SearchError(
                f"search '{folder.name}' is already driven by process {holder.get('pid', '?')} on "
                f"{holder.get('host', '?')}; watch it with `fxsearch board {folder.name} --watch`"
            ) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        yield


def driver_of(folder: Path) -> dict[str, Any]:
    """`pid` and `host` of the process that drives the search in `folder`, or did last."""
    path = folder / "driver.lock"
    return dict(json.loads(path.read_text() or "{}")) if path.exists() else {}


def is_driven(folder: Path) -> bool:
    """Whether a living process drives the search in `folder`."""
    path = folder / "driver.lock"
    if not path.exists():
        return False
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
