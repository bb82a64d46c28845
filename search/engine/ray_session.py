"""A connection to Ray, for as long as something runs on it."""

import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from fxcore.errors import SearchError
from fxcore.files import reason

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0"}  # read by Ray when it starts
REACH_SECONDS = 10.0
LOOK_SECONDS = 2.0
LOST_SECONDS = 12.0  # without an answer from the cluster
END_SECONDS = 15.0  # that Ray may take to let go of a cluster that is gone


class _LostError(BaseException):
    """The cluster is gone: raised in the main thread, whatever that waits for."""


@contextmanager
def connected(address: str | None, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """The cluster at `address`, else a Ray of this machine, which makes and asks for a token (2.60 and on).

    `settings` are environment variables, set where they are not. Raises `SearchError` where no cluster is, or
    none any more.
    """
    for name, value in {**SETTINGS, **(settings or {})}.items():
        os.environ.setdefault(name, value)
    place = address or "this machine"
    try:
        if address is not None:
            _reach(address)
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,  # what happens to a task is ours to tell
        )
    except (OSError, RuntimeError, ValueError, RayError) as error:
        cause = reason(error) if isinstance(error, OSError) else str(error).splitlines()[0]
        raise SearchError(f"no Ray cluster at {place}: {cause}") from None
    lost = f"the Ray cluster at {place} was lost; launch the search again, there or elsewhere, to go on"
    try:
        with _watched(lost):
            yield
            ray.shutdown()
    except _LostError:
        raise SearchError(lost) from None
    finally:
        ray.shutdown()


@contextmanager
def _watched(lost: str) -> Iterator[None]:
    """Raise `_LostError` in the block once the cluster is gone: Ray itself would wait for ever, or abort."""
    if threading.current_thread() is not threading.main_thread():  # only there can it be raised
        yield
        return

    def end(*_: object) -> None:
        raise _LostError

    ended = threading.Event()
    before = signal.signal(signal.SIGUSR2, end)
    threading.Thread(target=_watch, args=(ended, lost), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.signal(signal.SIGUSR2, before)


def _watch(ended: threading.Event, lost: str) -> None:
    context = ray.get_runtime_context()
    gcs, node = str(context.gcs_address), context.get_node_id()
    answered = time.monotonic()
    while not ended.wait(LOOK_SECONDS):
        if _answers(gcs, node):
            answered = time.monotonic()
        elif time.monotonic() - answered > LOST_SECONDS:
            os.kill(os.getpid(), signal.SIGUSR2)
            if not ended.wait(END_SECONDS):  # it hangs in Ray; all that counts is in the record
                print(f"fxsearch: {lost}", file=sys.stderr, flush=True)
                os._exit(2)
            return


def _answers(gcs: str, node: str) -> bool:
    """Whether the cluster's head is there and holds this node for alive."""
    try:
        _reach(gcs)
        return any(each["NodeID"] == node and each["Alive"] for each in ray.nodes())
    except (OSError, RayError, RuntimeError):
        return False


def _reach(address: str) -> None:
    """Raise `OSError` where nobody listens at a HOST:PORT; Ray would try for minutes."""
    if found := re.fullmatch(r"(?:ray://)?([^/]+):(\d+)", address):
        socket.create_connection((found[1], int(found[2])), REACH_SECONDS).close()
