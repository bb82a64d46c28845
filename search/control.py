"""What other processes ask of the one that drives a search: a file in the search's folder.

Pausing lets running trials reach their next report, so that nothing computed is lost; the search can be
resumed. Stopping ends it as it is.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias, cast

from fxcore.files import write_bytes
from search.progress import Progress

Request: TypeAlias = Literal["pause", "stop"]


def ask(folder: Path, request: Request) -> None:
    """Ask the driver of the search in `folder`; a later request takes the place of an earlier."""
    write_bytes(folder / "request", request.encode())


def asked(folder: Path) -> Request | None:
    """What was asked, if anything."""
    try:
        return cast(Request, (folder / "request").read_text())
    except FileNotFoundError:
        return None


@contextmanager
def listening(folder: Path, progress: Progress) -> Iterator[None]:
    """Answer to requests, and to Ctrl-C: the first pauses, which raises `KeyboardInterrupt` at the end of the
    block; the second raises it at once."""
    (folder / "request").unlink(missing_ok=True)  # one that came when nobody drove
    interrupted = False

    def pause(*_: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        ask(folder, "pause")
        progress.note("running trials finish their reports; Ctrl-C again ends them now")

    in_main_thread = threading.current_thread() is threading.main_thread()  # no other may set handlers
    before = signal.signal(signal.SIGINT, pause) if in_main_thread else None
    try:
        yield
        if interrupted:
            raise KeyboardInterrupt
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
        (folder / "request").unlink(missing_ok=True)
