"""Searches as jobs of a cluster that `examples/cluster` starts: submitted, asked of, paused, extended."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from fastapi.testclient import TestClient

from fxcore.errors import SearchError
from search import Search
from search.engine.jobs import SPEC_FILE, forget, remembered, submit, takes_jobs
from search.service import processes
from search.service.app import create_app
from search.storage import Storage

on_cluster = [pytest.mark.cluster, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "cluster"
TRIALS, TRIAL_SECONDS = 8, 45.0  # more than anybody waits for: what is asked of the search ends it
START_SECONDS = 300.0  # for whatever Ray starts: the machine may be busy


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Cluster(NamedTuple):
    """Three nodes on this machine, and what a person has who uses them from elsewhere."""

    address: str
    storage: Storage
    environment: dict[str, str]

    def __call__(self, *arguments: str, hidden: bool = False, **environment: str) -> Done:
        """Run `fxsearch ARGUMENTS`; on a machine that does not see the storage root if it is `hidden`."""
        command = [sys.executable, "-m", "search.cli", *arguments]
        if hidden:
            hide = f'mount -t tmpfs none "{self.storage.root}" && exec "$@"'
            command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", hide, "sh", *command]
        done = subprocess.run(
            command, env={**self.environment, **environment}, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def status(self, name: str, **options: Any) -> dict[str, Any]:
        done = self("status", name, "--json", **options)
        assert (done.code, done.err) == (0, "")
        return dict(json.loads(done.out))

    def succeed(self, *arguments: str, **options: Any) -> str:
        done = self(*arguments, **options)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def refusal(self, *arguments: str, **options: Any) -> str:
        done = self(*arguments, **options)
        assert (done.code, done.out) == (2, ""), done
        (line,) = done.err.splitlines()
        return line.removeprefix("fxsearch: ")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tiny_search: Search) -> Iterator[Cluster]:
    """A head without CPUs and two workers with one each; the code that they have at hand cannot run."""
    folder, token = tmp_path_factory.mktemp("cluster"), secrets.token_hex(32)
    for package in ("fxcore", "datasets", "search"):
        path = folder / "old" / package / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text("raise ImportError('not the code that was submitted')")
    shutil.copytree(tiny_search.storage.root / "stores", folder / "runs" / "stores")
    environment = {**os.environ, "RAY_AUTH_TOKEN": token, "FXSEARCH_STORAGE": str(folder / "runs")}
    own = {**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    own |= {"PYTHONPATH": str(folder / "old"), "OMP_NUM_THREADS": "1"}
    port, dashboard = free_port(), free_port()
    nodes = [
        ["head.sh", "127.0.0.1", f"--port={port}", f"--dashboard-port={dashboard}"],
        ["worker.sh", f"127.0.0.1:{port}", "--num-cpus=1"],
        ["worker.sh", f"127.0.0.1:{port}", "--num-cpus=1"],
    ]
    places = [Path("/tmp") / f"fx{secrets.token_hex(4)}" for _ in nodes]  # sockets need short paths
    started = []
    try:
        for (script, *options), place in zip(nodes, places, strict=True):
            place.mkdir()
            shared = [f"--temp-dir={place}", f"--dashboard-agent-listen-port={free_port()}", "--block"]
            with (place / "log").open("wb") as log:
                command = [str(SCRIPTS / script), *options, *shared]
                started.append(
                    subprocess.Popen(command, env=own, stdout=log, stderr=log, start_new_session=True)
                )
            wait_for(lambda log=place / "log": b"Ray runtime started" in log.read_bytes(), script)
        yield Cluster(
            f"http://127.0.0.1:{dashboard}",
            Storage(folder / "runs"),
            {**environment, "PYTHONPATH": str(ROOT)},
        )
    finally:
        while left := having(token):  # nodes, their workers and jobs
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            for node in started:
                node.wait()
            time.sleep(0.2)
        for place in places:
            shutil.rmtree(place, ignore_errors=True)


def free_port() -> int:
    """A port that nobody has, below those that Ray gives its workers."""
    while True:
        port = 2_000 + secrets.randbelow(8_000)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        return port


def having(token: str) -> list[int]:
    """The processes of a cluster, told by the token in their environment; not this one, nor zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RAY_AUTH_TOKEN={token}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def wait_for(condition: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.5)


def write_spec(folder: Path, name: str, data: str = "stores/fuzz") -> str:
    spec = {
        "name": name,
        "data": data,
        "budget": {"trials": TRIALS, "trial_seconds": TRIAL_SECONDS},
        "families": {"lstm": {"hidden": [4, 12]}},
        "structured": False,
        "stopping": {"halving": False, "plateau": None},
    }
    path = folder / "search.yaml"
    path.write_text(yaml.safe_dump(spec))
    return str(path)


def curves(search: Search) -> dict[int, list[int]]:
    return {row.id: [report.index for report in search.study.reports(row.id)] for row in search.trials()}


def reports(storage: Storage, name: str) -> int:
    """How many a search has; 0 before there is one."""
    return sum(map(len, curves(Search(name, storage)).values())) if storage.has(name) else 0


def test_only_addresses_of_job_servers_take_jobs() -> None:
    assert takes_jobs("http://head:8265")
    assert takes_jobs("https://head")
    assert not takes_jobs("head:6379")
    assert not takes_jobs("auto")
    assert not takes_jobs(None)


def test_a_storage_root_that_only_this_machine_knows_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SearchError, match=r"all its machines see; got .*runs, .*--storage"):
        submit("http://127.0.0.1:1", Storage(), "far", ["launch", SPEC_FILE])


def test_data_beside_the_current_folder_is_refused(tiny_search, tmp_path) -> None:
    spec = tiny_search.spec.model_copy(update={"data": "./stores/fuzz"})
    with pytest.raises(SearchError, match=r"data is \./stores/fuzz; give an absolute path"):
        submit("http://127.0.0.1:1", Storage(tmp_path), "far", ["launch", SPEC_FILE], spec)


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("http://127.0.0.1:{free}", "Connection refused"),
        ("http://no-such-host.invalid:8265", "no-such-host|[Nn]ame"),
        ("http://:8265", "no host|None|[Nn]ame"),
    ],
)
def test_where_nobody_takes_jobs_one_line_says_so(address, cause, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    place = address.format(free=free_port())
    with pytest.raises(
        SearchError, match=rf"^{place} takes no jobs: .*({cause}).*; is it the dashboard"
    ) as told:
        submit(place, Storage(tmp_path), "far", ["launch", SPEC_FILE])
    assert "\n" not in str(told.value)
    assert remembered(Storage(tmp_path), "far") is None


class TestOnACluster:
    """One search through its life, in the order of these tests."""

    pytestmark = on_cluster

    def test_a_search_is_submitted_and_its_name_taken(self, cluster, tmp_path) -> None:
        launch = ["launch", write_spec(tmp_path, "far"), "--address", cluster.address]
        said = cluster.succeed(*launch)
        assert said == f"'far' is submitted to {cluster.address}; look at it with: fxsearch status far\n"
        assert cluster.refusal(*launch).startswith("search 'far' has a job at http://127.0.0.1")
        wait_for(lambda: reports(cluster.storage, "far"), "a report")
        status = cluster.status("far")
        assert (status["state"], status["job"]) == ("running", "runs")

    def test_it_is_paused_and_resumed(self, cluster) -> None:
        cluster.succeed("pause", "far")
        wait_for(lambda: Search("far", cluster.storage).state == "interrupted", "the pause")
        wait_for(lambda: cluster.status("far")["job"] == "ended", "the end of the job")
        before = curves(Search("far", cluster.storage))
        assert cluster.succeed("resume", "far").startswith(f"'far' is submitted to {cluster.address}")
        wait_for(lambda: reports(cluster.storage, "far") > sum(map(len, before.values())), "a report")
        for number, indices in curves(Search("far", cluster.storage)).items():
            assert indices[: len(before.get(number, []))] == before.get(number, [])

    def test_where_its_driver_is_killed_the_job_is_told_to_have_died(self, cluster) -> None:
        os.kill(cluster.status("far")["process"], signal.SIGKILL)
        wait_for(lambda: cluster.status("far")["job"].startswith("died"), "the end of the job")
        assert cluster.status("far")["state"] == "interrupted"

    def test_it_is_resumed_stopped_and_extended(self, cluster) -> None:
        search, so_far = Search("far", cluster.storage), reports(cluster.storage, "far")
        cluster.succeed("resume", "far")
        wait_for(lambda: reports(cluster.storage, "far") > so_far, "a report")
        cluster.succeed("stop", "far")
        wait_for(lambda: search.state == "complete", "the end")
        wait_for(lambda: cluster.status("far")["job"] == "ended", "the end of the job")
        begun = len(search.trials())
        assert "the search was stopped" in [row.reason for row in search.trials()]
        cluster.succeed("extend", "far", "--trials", "1", "--minutes", "1.5")
        wait_for(lambda: len(search.trials()) > begun, "a new trial")
        wait_for(lambda: search.state == "complete", "the end")
        assert "the search's time was up" in [row.reason for row in search.trials()]
        assert Search("far", cluster.storage).study.trials_wanted == TRIALS + 1
        for indices in curves(search).values():  # no report lost or doubled
            assert indices == list(range(1, len(indices) + 1))

    def test_where_its_record_is_not_seen_it_is_asked_for_on_the_cluster(self, cluster) -> None:
        if subprocess.run(
            ["unshare", "--mount", "--user", "--map-root-user", "true"], check=False
        ).returncode:
            pytest.skip("this machine lets nobody hide a folder")
        there = ["--address", cluster.address]
        search = Search("far", cluster.storage)
        assert cluster.refusal("status", "far", hidden=True).startswith("no search 'far'")
        assert cluster.succeed("logs", "far", *there, hidden=True) == search.log()
        status = json.loads(cluster.succeed("status", "far", "--json", *there, hidden=True))
        assert status == {**search.status(), "job": "ended"}
        board = json.loads(cluster.succeed("board", "far", "--json", *there, hidden=True))
        assert [trial["id"] for trial in board["trials"]] == [row.id for row in search.trials()]
        done = cluster("pause", "far", *there, hidden=True)
        assert done == (2, "", "fxsearch: search 'far' is not running\n")

    def test_a_job_that_dies_at_once_says_why(self, cluster, tmp_path) -> None:
        cluster.succeed("launch", write_spec(tmp_path, "lost", "stores/none"), "--address", cluster.address)
        wait_for(lambda: cluster.status("lost")["job"].startswith("died"), "the end of the job")
        status = cluster.status("lost")
        assert (status["search"], status["state"]) == ("lost", "not begun")
        assert "stores/none" in status["job"]

    def test_a_wrong_token_is_refused(self, cluster) -> None:
        told = cluster.refusal("status", "lost", RAY_AUTH_TOKEN=secrets.token_hex(32))
        assert told.startswith(f"{cluster.address} does not take this machine's token")
        told = cluster.refusal("status", "lost", RAY_AUTH_MODE="disabled")
        assert told.startswith(f"{cluster.address} does not take this machine's token")

    def test_the_service_submits_and_asks_too(self, cluster, monkeypatch) -> None:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", cluster.environment["RAY_AUTH_TOKEN"])
        monkeypatch.setattr(processes, "START_SECONDS", START_SECONDS)
        service = TestClient(create_app(cluster.storage, None, cluster.address), base_url="http://127.0.0.1")
        spec = yaml.safe_load(Path(write_spec(cluster.storage.root, "served")).read_text())
        answer = service.post("/api/searches", json=spec)
        assert (answer.status_code, answer.json()) == (201, {"search": "served", "state": "running"})
        assert remembered(cluster.storage, "served") == cluster.address
        wait_for(lambda: reports(cluster.storage, "served"), "a report")
        assert service.post("/api/searches/served/pause").status_code == 202
        search = Search("served", cluster.storage)
        wait_for(lambda: search.state == "interrupted", "the pause")
        wait_for(lambda: cluster.status("served")["job"] == "ended", "the end of the job")
        assert service.post("/api/searches/served/resume").json()["state"] in ("running", "complete")
        assert service.post("/api/searches/served/stop").status_code == 202
        wait_for(lambda: search.state == "complete", "the end")
        forget(cluster.storage, "served")
        assert remembered(cluster.storage, "served") is None
