"""Ctrl-C in a search: the first lets running trials reach their next report, the second ends at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from search.progress import Progress


@contextmanager
def gentle_interrupts(progress: Progress) -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether an interrupt came, for which the block should end soon.

    `KeyboardInterrupt` is raised at the end of the block then; a second interrupt raises it at once.
    """
    came = False

    def note(*_: object) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True
        progress.note("running trials finish their reports; Ctrl-C again ends them now")

    in_main_thread = threading.current_thread() is threading.main_thread()  # no other may set handlers
    before = signal.signal(signal.SIGINT, note) if in_main_thread else None
    try:
        yield lambda: came
        if came:
            raise KeyboardInterrupt
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
