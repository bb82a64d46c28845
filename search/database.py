"""Where a study is kept: SQLite in one file, or PostgreSQL; and patience while either does not answer.

Beside Optuna's tables lie two of ours: who drives a search, and its log.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import optuna
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from fxcore.errors import SearchError

T = TypeVar("T")

_COMPATIBLE: set[str] = set()  # databases whose version this process has looked at: that takes 0.2 s

PATIENCE_SECONDS = 120.0  # for a database that is locked, restarts or cannot be reached
REACH_SECONDS = 10.0  # the same, for one that did not answer yet
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
BUSY_SECONDS = 2.0  # that SQLite itself waits for a lock
CONNECT_SECONDS = 5

_TABLES = sa.MetaData()
DRIVERS = sa.Table(
    "fxsearch_drivers",
    _TABLES,
    sa.Column("search", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(32), nullable=False),  # of the driver's hold, which another may take over
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("since", sa.Float, nullable=False),  # seconds of the epoch, as the next
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("request", sa.String(16)),  # pause or stop, asked of the driver
)
LOG = sa.Table(
    "fxsearch_log",
    _TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("search", sa.String(64), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),  # seconds of the epoch
    sa.Column("text", sa.Text, nullable=False),
)


def sqlite(path: Path) -> URL:
    """The address of an SQLite file."""
    return URL.create("sqlite", database=str(path.absolute()))


def postgresql(address: str) -> URL:
    """`postgresql://HOST[:PORT]/DATABASE`, without credentials: PGUSER, PGPASSWORD or ~/.pgpass hold them.

    Raises `SearchError` for any other address.
    """
    example = "write postgresql://HOST:PORT/DATABASE"
    try:
        url = make_url(address)
    except ArgumentError:
        raise SearchError(f"a database's address is a URL; {example}") from None
    if url.username or url.password:
        raise SearchError(
            "a database's address holds no credentials, it is shown and kept; give them in the environment "
            "(PGUSER, PGPASSWORD) or in ~/.pgpass"
        )
    if url.get_backend_name() != "postgresql" or not url.host or not url.database:
        raise SearchError(f"a shared database is PostgreSQL; got {url}; {example}")
    return url.set(drivername="postgresql+psycopg")


def connect(url: URL) -> optuna.storages.RDBStorage:
    """The database, with all tables that are needed; raises `SearchError` where it cannot be reached."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    local = url.get_backend_name() == "sqlite"
    arguments = {"timeout": BUSY_SECONDS} if local else {"connect_timeout": CONNECT_SECONDS}
    engine = {"connect_args": arguments, "poolclass": NullPool}  # no connection outlives a server's restart

    address = url.render_as_string(hide_password=False)

    def reach() -> optuna.storages.RDBStorage:
        known = address in _COMPATIBLE
        storage = optuna.storages.RDBStorage(address, dict(engine), skip_compatibility_check=known)
        _TABLES.create_all(storage.engine)
        _COMPATIBLE.add(address)
        return storage

    try:
        return patiently(reach, seconds=REACH_SECONDS)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        told = cause(error)
        remedy = "; is the disk full?" if "disk" in told else ""
        raise SearchError(f"{where(url)} cannot be used: {told}{remedy}") from None


@lru_cache(maxsize=64)
def light_engine(url: URL) -> sa.Engine:
    """A way to a database that has its tables already, for those who only look."""
    return sa.create_engine(url, poolclass=NullPool)


def where(url: URL) -> str:
    """The database as people know it."""
    return str(url.database) if url.get_backend_name() == "sqlite" else str(url.set(drivername="postgresql"))


def cause(error: BaseException) -> str:
    """What a database complained of, in one line."""
    told = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    if isinstance(told, DBAPIError) and told.orig is not None:
        told = told.orig
    return str(told or error).strip().splitlines()[0]


def patiently(
    act: Callable[[], T], waiting: Callable[[str], None] | None = None, seconds: float = PATIENCE_SECONDS
) -> T:
    """What `act` returns, tried again with growing pauses while the database is locked or away.

    `waiting` is told why, once. `act` may have been carried out where its answer was lost: it must be such
    that doing it twice does no harm. Raises what it raised last after `seconds`, or any other error.
    """
    limit, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return act()
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            if not _passes(error) or time.monotonic() > limit:
                raise
            if waiting is not None:
                waiting(f"the study's database does not answer ({cause(error)}); trying again")
                waiting = None
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def write(url: URL, act: Callable[[], T], waiting: Callable[[str], None] | None = None) -> T:
    """What `act` returns, done `patiently`; raises `SearchError` where the database cannot be written to."""
    try:
        return patiently(act, waiting)
    except IntegrityError:
        raise
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        raise SearchError(
            f"{where(url)} could not be written ({cause(error)}); is the disk full? "
            "launching the search again resumes it"
        ) from error


def _passes(error: BaseException) -> bool:
    """Whether to try again: a full disk or a wrong password do not mend themselves."""
    told = error if isinstance(error, SQLAlchemyError) else error.__cause__
    if not isinstance(told, DBAPIError) or told.orig is None:
        return False
    if type(told.orig).__module__.startswith("sqlite3"):
        return any(sign in str(told.orig) for sign in ("locked", "busy"))
    state: str | None = getattr(told.orig, "sqlstate", None)
    text = str(told.orig)
    if state is None:  # no answer from a server at all
        return not any(sign in text for sign in ("authentication failed", "does not exist", "no password"))
    return state.startswith(("08", "57P", "40", "53"))  # connection, shutdown, deadlock, overload
