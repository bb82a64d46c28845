"""A connection to Ray, for as long as something runs on it."""

import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from fxcore.errors import SearchError
from fxcore.files import reason

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0"}  # read by Ray when it starts
REACH_SECONDS = 10.0


@contextmanager
def connected(address: str | None, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """The cluster at `address`, else a Ray of this machine, which makes and asks for a token (2.60 and on).

    `settings` are environment variables, set where they are not. Raises `SearchError` where no cluster is.
    """
    for name, value in {**SETTINGS, **(settings or {})}.items():
        os.environ.setdefault(name, value)
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
        raise SearchError(f"no Ray cluster at {address or 'this machine'}: {cause}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise `OSError` where nobody listens at a HOST:PORT; Ray would try for minutes."""
    if found := re.fullmatch(r"(?:ray://)?([^/]+):(\d+)", address):
        socket.create_connection((found[1], int(found[2])), REACH_SECONDS).close()
