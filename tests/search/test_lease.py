"""One driver a search, in SQLite: PostgreSQL is in test_faults."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from fxcore.errors import SearchError
from search import lease
from search.database import DRIVERS, connect, sqlite
from search.lease import ask, held, holder_of, is_driven

HOLDER = """
import sys, time
from pathlib import Path
from search.database import connect, sqlite
from search.lease import held
with held(connect(sqlite(Path(sys.argv[1]))).engine, "amp"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return connect(sqlite(tmp_path / "study.db")).engine


def elsewhere(engine: sa.Engine, silent_seconds: float) -> None:
    """A driver on another machine, not heard of for a while."""
    now = time.time()
    row = {"search": "amp", "token": "theirs", "host": "render-7", "pid": 1234}
    with engine.begin() as connection:
        connection.execute(sa.insert(DRIVERS).values(**row, since=now - 600, seen=now - silent_seconds))


def test_a_second_driver_is_refused_and_a_killed_one_is_followed(engine, tmp_path):
    path = tmp_path / "study.db"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_driven(sqlite(path), "amp")
        told = f"process {process.pid} on {socket.gethostname()}, since 0 min"
        with pytest.raises(SearchError, match=told), held(engine, "amp", take_over=True):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not is_driven(sqlite(path), "amp")
    with held(engine, "amp"):
        assert is_driven(sqlite(path), "amp")
    assert holder_of(engine, "amp") is None


def test_one_that_is_silent_elsewhere_is_followed_only_where_that_is_asked_for(engine):
    elsewhere(engine, silent_seconds=lease.SILENT_SECONDS + 10)
    told = r"process 1234 on render-7, since 10 min, silent for \d+ s; if it is dead, add --take-over"
    with pytest.raises(SearchError, match=told), held(engine, "amp"):
        pass
    with held(engine, "amp", take_over=True):
        assert holder_of(engine, "amp").pid == os.getpid()


def test_one_that_is_heard_of_elsewhere_is_never_followed(engine):
    elsewhere(engine, silent_seconds=1.0)
    with pytest.raises(SearchError, match="process 1234 on render-7"), held(engine, "amp", take_over=True):
        pass


def test_a_driver_whose_search_was_taken_over_writes_nothing_more(engine, monkeypatch):
    with held(engine, "amp") as mine:
        mine.check()
        with engine.begin() as connection:
            connection.execute(sa.update(DRIVERS).values(token="theirs", host="render-7", pid=1234))
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.0)  # as after a long silence
        with pytest.raises(SearchError, match="taken over by process 1234 on render-7"):
            mine.check()
        with pytest.raises(SearchError, match="taken over"):
            mine.request()
    assert holder_of(engine, "amp").token == "theirs"  # what is not ours is left


def test_a_request_reaches_the_driver(engine):
    with held(engine, "amp") as mine:
        assert mine.request() is None
        ask(engine, "amp", "pause")
        assert mine.request() == "pause"
