"""Searches as jobs of a Ray cluster: submitted over HTTP, they go on when this machine leaves.

A search's job has the search's name. The code goes along, credentials do not: AWS_*, PGUSER, PGPASSWORD and
FXSEARCH_DATABASE are those that `ray start` found in its environment. Where this machine does not see a
search's record, what is asked of it runs on the cluster, as a short job of its own.
"""

import json
import logging
import os
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import datasets
import fxcore
import search
from datasets.cache import cache_root
from fxcore.errors import SearchError
from fxcore.files import reason, write_bytes
from fxcore.spec import digest_of
from fxcore.yamlfile import dump_yaml
from search.config import SearchSpec
from search.storage import Storage

Client: TypeAlias = Any  # Ray's JobSubmissionClient
Details: TypeAlias = Any  # Ray's JobDetails

SPEC_FILE = "search.yaml"  # in a job's folder, beside the code
NOTE_FILE = "job.json"  # where a search was submitted to
OVERRIDES = "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"  # Ray would heed these before the address it is given
TALKATIVE = "ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"
LOOK_SECONDS = 0.5
REACH_SECONDS = 10.0


def takes_jobs(address: str | None) -> bool:
    """Whether an address is that of a cluster's job server, http://HEAD:8265, and not HOST:PORT."""
    return address is not None and address.startswith(("http://", "https://"))


def submit(
    address: str, storage: Storage, name: str, command: Sequence[str], spec: SearchSpec | None = None
) -> None:
    """Run `fxsearch COMMAND` for the search `name` as the job of that name; a `spec` goes along as SPEC_FILE.

    Raises `SearchError` where the cluster cannot be reached, or has such a job that has not ended.
    """
    if not storage.absolute:
        raise SearchError(
            f"a cluster needs a storage root that all its machines see; got {storage}, of this machine; give "
            "--storage (or FXSEARCH_STORAGE) an absolute path, or s3://bucket/prefix"
        )
    if spec is not None and spec.data.startswith("."):
        raise SearchError(
            f"a cluster has another current folder; data is {spec.data}; give an absolute path, or one that "
            "starts at the storage root"
        )
    with _client(address) as client:
        before = _find(client, name)
        if before is not None:
            if not before.status.is_terminal():
                raise SearchError(
                    f"search '{name}' has a job at {address} already; see `fxsearch status {name}`"
                )
            client.delete_job(name)  # else its name could not be used again
        _start(client, storage, command, spec, submission_id=name)
    _remember(storage, name, address)


def run_there(address: str, storage: Storage, command: Sequence[str]) -> tuple[int, str]:
    """Run `fxsearch COMMAND` on a cluster and wait for its exit code and what it printed."""
    with _client(address) as client:
        job = _start(client, storage, command)
        while not (details := client.get_job_info(job)).status.is_terminal():
            time.sleep(LOOK_SECONDS)
        output = client.get_job_logs(job)
        client.delete_job(job)
    if details.driver_exit_code is None:
        raise SearchError(f"{address} could not run it: {_last_line(details.message)}")
    lines = output.splitlines(keepends=True)  # the first are Ray's own, up to the one that names the command
    own = max((i for i, line in enumerate(lines, 1) if line.startswith("Running entrypoint")), default=0)
    return details.driver_exit_code, "".join(lines[own:])


def job_state(address: str, name: str) -> str | None:
    """How the job of a search fares, in words; None where the cluster knows of none."""
    with _client(address) as client:
        details = _find(client, name)
        if details is None:
            return None
        if details.status == "FAILED":
            return f"died: {_last_line(client.get_job_logs(name)) or _last_line(details.message)}"
    return {"PENDING": "waits", "RUNNING": "runs", "STOPPED": "was stopped"}.get(details.status, "ended")


def remembered(storage: Storage, name: str) -> str | None:
    """The address that a search was submitted to, if it was."""
    for note in _notes(storage, name):
        if note.exists():
            return str(json.loads(note.read_text(encoding="utf-8"))["address"])
    return None


def forget(storage: Storage, name: str) -> None:
    """A search that was submitted is driven from elsewhere now."""
    for note in _notes(storage, name):
        with suppress(OSError):  # there is none
            note.unlink()


def _remember(storage: Storage, name: str, address: str) -> None:
    beside, apart = _notes(storage, name)
    note = beside if storage.root.is_dir() else apart
    write_bytes(note, json.dumps({"address": address}).encode())


def _notes(storage: Storage, name: str) -> tuple[Path, Path]:
    """Beside the search; or on this machine alone, where it does not see the storage root."""
    apart = cache_root() / "jobs" / digest_of(str(storage)) / name
    return storage.search(name) / NOTE_FILE, apart / NOTE_FILE


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """The job server at an address; what fails in the block is told in one line, by a `SearchError`."""
    place = urlsplit(address)
    if not takes_jobs(address) or not place.hostname:
        raise SearchError(f"the address of a cluster that takes jobs is http://HEAD:8265; got {address}")
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # read by Ray when it is imported
    for variable in OVERRIDES:
        os.environ.pop(variable, None)
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for talkative in TALKATIVE:
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        port = place.port or {"http": 80, "https": 443}[place.scheme]
        socket.create_connection((place.hostname, port), REACH_SECONDS).close()  # Ray would try for minutes
        yield JobSubmissionClient(address, headers=_credentials())
    except AuthenticationError:
        raise SearchError(
            f"{address} does not take this machine's token; put the cluster's into RAY_AUTH_TOKEN or "
            "~/.ray/auth_token"
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        told = reason(error) if isinstance(error, OSError) else str(error)
        raise SearchError(
            f"{address} takes no jobs: {_last_line(told)}; is it the dashboard of a head?"
        ) from None


def _credentials() -> dict[str, str]:
    """The cluster's token as a header: Ray would take what it found when this process first asked it."""
    if os.environ.get("RAY_AUTH_MODE") == "disabled":
        return {}
    token = os.environ.get("RAY_AUTH_TOKEN")
    if token is None:
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
        token = path.read_text(encoding="utf-8") if path.is_file() else ""
    return {"Authorization": f"Bearer {token.strip()}"} if token.strip() else {}


def _start(
    client: Client,
    storage: Storage,
    command: Sequence[str],
    spec: SearchSpec | None = None,
    **options: str,
) -> str:
    """The id of a new job."""
    here = ["--address", "auto", "--storage", str(storage)]  # the job's own cluster: it asks no other
    entrypoint = shlex.join(["python", "-m", "search.cli", *command, *here])
    with tempfile.TemporaryDirectory(prefix="fxsearch-job-") as folder:
        for package in (fxcore, datasets, search):
            (source,) = package.__path__
            shutil.copytree(
                source, Path(folder) / package.__name__, ignore=shutil.ignore_patterns("__pycache__")
            )
        if spec is not None:
            (Path(folder) / SPEC_FILE).write_text(dump_yaml(spec.as_dict()), encoding="utf-8")
        job: str = client.submit_job(entrypoint=entrypoint, runtime_env={"working_dir": folder}, **options)
    return job


def _find(client: Client, name: str) -> Details | None:
    return next((job for job in client.list_jobs() if job.submission_id == name), None)


def _last_line(text: str | None) -> str:
    return ((text or "").strip().splitlines() or [""])[-1].removeprefix("fxsearch: ")
