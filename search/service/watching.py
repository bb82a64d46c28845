"""What changed in a search, told to any number of viewers by one look a second.

A viewer costs the search nothing: the service looks at the size and time of its files, whoever watches.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, TypeVar

from search.attributes import latest_changes
from search.database import light_engine
from search.lease import is_driven
from search.searches import Search
from search.storage import Storage
from search.study import TrialRow

LOOK_SECONDS = 1.0
VIEWER_SECONDS = 0.15  # more between looks for each viewer: what they all fetch takes time from the search


T = TypeVar("T")


class Revision(NamedTuple):
    """Differs whenever a search's record or its state does."""

    marks: tuple[tuple[int, int], ...]
    driven: bool


def revision(storage: Storage, name: str) -> Revision:
    """Of the search `name`, now."""
    url, folder = storage.database(name), storage.search(name)
    marks = []
    for file in ("study.db", "study.db-wal", "listening.jsonl"):
        with suppress(FileNotFoundError):
            status = (folder / file).stat()
            marks.append((status.st_mtime_ns, status.st_size))
    if storage.shared is not None:
        marks.append(latest_changes(light_engine(url), name))
    return Revision(tuple(marks), is_driven(url, name))


class Made(Generic[T]):
    """What was made of a search at its latest revision: made once, however many ask at once."""

    _locks: ClassVar[defaultdict[Path, threading.Lock]] = defaultdict(threading.Lock)
    _read: ClassVar[dict[Path, tuple[Revision, Search, list[TrialRow]]]] = {}  # once for all that is made

    def __init__(self, make: Callable[[Search, list[TrialRow]], T]) -> None:
        self.make = make
        self._found: dict[Path, tuple[Revision, T]] = {}

    def __call__(self, storage: Storage, name: str) -> T:
        """Of the search `name`; raises `SearchError` where there is none."""
        folder = storage.search(name)
        with self._locks[folder]:
            now = revision(storage, name)
            known, found = self._found.get(folder, (None, None))
            if known != now or found is None:
                if folder not in self._read or self._read[folder][0] != now:
                    search = Search(name, storage)
                    self._read[folder] = now, search, search.trials()
                found = self.make(*self._read[folder][1:])
                self._found[folder] = now, found
            return found


class Watch:
    """One look at each watched search a second, however many watch it."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._viewers: dict[str, set[asyncio.Event]] = {}
        self._lookers: dict[str, asyncio.Task[None]] = {}

    async def changes(self, name: str) -> AsyncIterator[None]:
        """Yields at once, and then whenever the search has changed."""
        event = asyncio.Event()
        viewers = self._viewers.setdefault(name, set())
        viewers.add(event)
        try:
            if name not in self._lookers:
                known = await asyncio.to_thread(revision, self.storage, name)  # before the viewer looks
                if name not in self._lookers:
                    self._lookers[name] = asyncio.create_task(self._look(name, known))
            yield
            while True:
                await event.wait()
                event.clear()
                yield
        finally:
            viewers.discard(event)
            if not viewers and name in self._lookers:
                self._lookers.pop(name).cancel()

    async def _look(self, name: str, known: Revision) -> None:
        while True:
            viewers = len(self._viewers.get(name, ()))
            await asyncio.sleep(max(LOOK_SECONDS, VIEWER_SECONDS * viewers))
            found = await asyncio.to_thread(revision, self.storage, name)
            if found != known:
                known = found
                for event in self._viewers.get(name, ()):
                    event.set()
