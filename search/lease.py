"""One driver a search: who drives it stands in the database, renewed every few seconds.

A driver that is killed on this machine is known to be dead; one on another machine is only silent, and may
have lost its network for a while. `take_over` ends its hold: before it writes, a driver that was not heard of
for a while looks whether the search still is its own.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from fxcore.errors import SearchError
from search.database import DRIVERS, light_engine, patiently, write

Request: TypeAlias = Literal["pause", "stop"]

RENEW_SECONDS = 10.0
SILENT_SECONDS = 40.0  # without a renewal: dead, or cut off

_HELD: set[str] = set()  # tokens that this process holds


class Holder(NamedTuple):
    """Who drives a search, or did last. Times are seconds of the epoch."""

    token: str
    host: str
    pid: int
    since: float
    seen: float
    request: Request | None

    @property
    def dead(self) -> bool:
        """Whether it was a process of this machine that has ended, or this one, which has let go."""
        if self.host != socket.gethostname():
            return False
        return not _runs(self.pid) or (self.pid == os.getpid() and self.token not in _HELD)

    @property
    def silent_seconds(self) -> float:
        """Since it was last heard of."""
        return max(0.0, time.time() - self.seen)

    @property
    def drives(self) -> bool:
        """Whether it is at work, as far as is known."""
        return not self.dead and self.silent_seconds < SILENT_SECONDS


def holder_of(engine: sa.Engine, search: str, waiting: Callable[[str], None] | None = None) -> Holder | None:
    """Who holds the search; None where nobody does. `waiting` is told where the database does not answer."""
    query = sa.select(*(DRIVERS.c[name] for name in Holder._fields)).where(DRIVERS.c.search == search)

    def look() -> Holder | None:
        with engine.connect() as connection:
            row = connection.execute(query).first()
        return Holder(*row) if row else None

    return patiently(look, waiting)


def is_driven(url: sa.URL, search: str) -> bool:
    """Whether a living process drives the search; for those who look often, and hold no connection."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return False
    try:
        holder = holder_of(light_engine(url), search)
    except sa.exc.OperationalError:  # no such table: it was never driven
        return False
    return holder is not None and holder.drives


def ask(engine: sa.Engine, search: str, request: Request) -> None:
    """Ask whoever drives the search to pause or stop; a later request takes the place of an earlier."""
    _change(engine, sa.update(DRIVERS).where(DRIVERS.c.search == search).values(request=request))


class Lease:
    """The right to write to a search."""

    def __init__(self, engine: sa.Engine, search: str) -> None:
        """`held` makes one."""
        self.engine, self.search, self.token = engine, search, secrets.token_hex(16)
        self.waiting: Callable[[str], None] | None = None  # told where the database does not answer
        self._renewed = time.monotonic()
        self._ended = threading.Event()

    def check(self) -> None:
        """Raise `SearchError` where another process has taken the search over."""
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self._renew(self.waiting)

    def request(self) -> Request | None:
        """What was asked of the driver, if anything; raises as `check` does."""
        holder = holder_of(self.engine, self.search, self.waiting)
        if holder is None or holder.token != self.token:
            raise self._lost(holder)
        return holder.request

    def _mine(self) -> sa.ColumnElement[bool]:
        return sa.and_(DRIVERS.c.search == self.search, DRIVERS.c.token == self.token)

    def _renew(self, waiting: Callable[[str], None] | None = None) -> None:
        now = time.monotonic()
        change = sa.update(DRIVERS).where(self._mine()).values(seen=time.time())
        if _change(self.engine, change, waiting) == 0:
            raise self._lost(holder_of(self.engine, self.search))
        self._renewed = now

    def _lost(self, holder: Holder | None) -> SearchError:
        by = f" by process {holder.pid} on {holder.host}" if holder else ""
        return SearchError(f"search '{self.search}' was taken over{by}; this process writes nothing more")

    def _keep(self) -> None:
        """Renew it until it is given back; what fails here is found by whoever writes next."""
        while not self._ended.wait(RENEW_SECONDS):
            try:
                self._renew()
            except (SearchError, SQLAlchemyError):
                continue


@contextmanager
def held(engine: sa.Engine, search: str, *, take_over: bool = False) -> Iterator[Lease]:
    """Hold a search; raises `SearchError` naming who holds it already, unless that process is dead.

    One on another machine that was not heard of for a while is dead if `take_over` says so.
    """
    lease = Lease(engine, search)
    _acquire(lease, take_over=take_over)
    _HELD.add(lease.token)
    keeper = threading.Thread(target=lease._keep, daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        lease._ended.set()
        keeper.join()
        _HELD.discard(lease.token)
        with suppress(SearchError):  # on a full disk it stays, as that of a process that is gone
            _change(engine, sa.delete(DRIVERS).where(lease._mine()))


def _acquire(lease: Lease, *, take_over: bool) -> None:
    before = holder_of(lease.engine, lease.search)
    if before is not None and before.token != lease.token:
        _refuse(lease.search, before, take_over=take_over)
        gone = sa.and_(DRIVERS.c.search == lease.search, DRIVERS.c.token == before.token)
        _change(lease.engine, sa.delete(DRIVERS).where(gone))
    now = time.time()
    row = {"search": lease.search, "token": lease.token, "host": socket.gethostname(), "pid": os.getpid()}
    try:
        _change(lease.engine, sa.insert(DRIVERS).values(**row, since=now, seen=now))
    except sa.exc.IntegrityError:  # another was faster, or the answer to our own was lost
        after = holder_of(lease.engine, lease.search)
        if after is not None and after.token != lease.token:
            _refuse(lease.search, after, take_over=False)


def _refuse(search: str, holder: Holder, *, take_over: bool) -> None:
    """Raise unless the holder is dead."""
    if holder.dead:
        return
    minutes, silent = (time.time() - holder.since) / 60, holder.silent_seconds
    who = f"search '{search}' is already driven by process {holder.pid} on {holder.host}"
    since = f"{who}, since {minutes:.0f} min"
    if holder.drives:
        raise SearchError(f"{since}; watch it with `fxsearch board {search} --watch`")
    if not take_over:
        raise SearchError(f"{since}, silent for {silent:.0f} s; if it is dead, add --take-over")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _change(
    engine: sa.Engine, change: sa.sql.dml.UpdateBase, waiting: Callable[[str], None] | None = None
) -> int:
    """Carry out a change; how many rows it changed."""

    def act() -> int:
        with engine.begin() as connection:
            return connection.execute(change).rowcount

    return write(engine.url, act, waiting)
