"""Searches and imports in processes of their own: they outlive the service, or are bounded by it."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from fxcore.errors import FxError, SearchError
from search.engine.jobs import job_state, takes_jobs
from search.lease import is_driven
from search.storage import Storage

OUTPUT = "service.log"  # what a search's process prints, in the search's folder
START_SECONDS = 90.0  # a search that has not begun by then is told to be slow, not lost
POLL_SECONDS, JOB_POLL_SECONDS = 0.1, 1.0
IMPORT_CPU_SECONDS, IMPORT_KIB, IMPORT_SECONDS = 600, 8 << 20, 900.0


def run_search(storage: Storage, name: str, arguments: list[str], address: str | None = None) -> None:
    """Run `fxsearch ARGUMENTS` detached, and return once it drives the search `name`, or has ended well.

    Trials run on this machine, or on the Ray cluster at `address`, where the whole search is a job if that is
    http://HEAD:8265. Raises `SearchError` with the complaint of a process, or a job, that ends badly at once.
    """
    cluster = [] if address is None else ["--address", address]
    folder = storage.search(name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / OUTPUT).open("ab") as output:
        start = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "search.cli", *arguments, *cluster, "--storage", str(storage)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays a zombie
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        if process.poll() is not None:
            if process.returncode != 0:
                said = (folder / OUTPUT).read_bytes()[start:].decode(errors="replace").strip()
                _remove_if_new(storage, name)
                raise SearchError(_last_line(said))
            if address is None or not takes_jobs(address) or _has_ended(address, storage, name):
                return
        if storage.has(name) and is_driven(storage.database(name), name):
            return
        time.sleep(POLL_SECONDS)
    if not storage.has(name):
        raise SearchError(f"search '{name}' has not begun within {START_SECONDS:.0f} s; look again later")


def import_pair(dry: Path, wet: Path, store: Path, most_seconds: float) -> dict[str, Any]:
    """Import a pair that came from outside, in a process with limits; the import's report, as JSON.

    Raises `FxError` with its complaint.
    """
    command = [
        sys.executable,
        "-m",
        "search.service.intake",
        str(dry),
        str(wet),
        str(store),
        str(most_seconds),
    ]
    limited = ["/bin/sh", "-c", 'ulimit -t "$1"; ulimit -d "$2"; shift 2; exec "$@"', "sh"]
    try:
        done = subprocess.run(
            [*limited, str(IMPORT_CPU_SECONDS), str(IMPORT_KIB), *command],
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FxError(f"the pair could not be read within {IMPORT_SECONDS:.0f} s") from None
    if done.returncode == 2:
        raise FxError(_last_line(done.stderr).replace(f"{dry.parent}/", ""))
    if done.returncode != 0:
        raise FxError("the pair took more memory or time than an upload may; import it on the command line")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _has_ended(address: str, storage: Storage, name: str) -> bool:
    """Whether the job of a search has done all it was to do; raises `SearchError` where it died."""
    state = job_state(address, name)
    if state in ("waits", "runs"):
        time.sleep(JOB_POLL_SECONDS)
        return False
    if state != "ended":
        _remove_if_new(storage, name)
        raise SearchError(f"its job {state or 'is gone'}")
    return True


def _remove_if_new(storage: Storage, name: str) -> None:
    """A search that never began leaves nothing but its log."""
    folder = storage.search(name)
    if not storage.has(name):
        for path in [*folder.glob("*.*"), folder / "checkpoints"]:
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        folder.rmdir()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or ["it ended without a word"]
    return lines[-1].removeprefix("fxsearch: ")
