"""A connection to Ray, for as long as something runs on it."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray

from fxcore.errors import SearchError

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0"}  # read by Ray when it starts


@contextmanager
def connected(address: str | None, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """The cluster at `address`, else a Ray of this machine, which makes and asks for a token (2.60 and on).

    `settings` are environment variables, set where they are not. Raises `SearchError` where no cluster is.
    """
    for name, value in {**SETTINGS, **(settings or {})}.items():
        os.environ.setdefault(name, value)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,  # what happens to a task is ours to tell
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SearchError(f"no Ray cluster at {address or 'this machine'}: {reason}") from None
    try:
        yield
    finally:
        ray.shutdown()
