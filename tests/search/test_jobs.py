"""Searches as jobs of a cluster that `examples/cluster` starts: submitted, asked of, paused, extended."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from fastapi.testclient import TestClient
from ray.util import get_node_ip_address

from fxcore.errors import SearchError
from search import Search
from search.engine.jobs import SPEC_FILE, forget, remembered, submit, takes_jobs
from search.service import processes
from search.service.app import create_app
from search.storage import Storage

on_cluster = [pytest.mark.cluster, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "cluster"
COMMANDS = (  # of a cluster whose nodes need none
    *("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands"),
)
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

    def as_written(self, verb: str, subject: str) -> list[str]:
        """A command of the example's README, on this cluster."""
        (line,) = re.findall(rf"^fxsearch ({verb} .*)$", (SCRIPTS / "README.md").read_text(), re.MULTILINE)
        own = {"http://10.0.0.1:8265": self.address, "/shared": str(self.storage), "amp": subject}
        return [own.get(word.removesuffix(".yaml"), word) for word in line.split()]

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


@contextmanager
def started(folder: Path, search: Search, workers: int, *options: str, **extra: str) -> Iterator[Cluster]:
    """A head and workers with a CPU each, by the example's scripts; the code they have at hand cannot run.

    `options` are the head's.
    """
    token, port, dashboard = secrets.token_hex(32), free_port(), free_port()
    for package in ("fxcore", "datasets", "search"):
        path = folder / "old" / package / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text("raise ImportError('not the code that was submitted')")
    shutil.copytree(search.storage.root / "stores", folder / "runs" / "stores")
    environment = {**os.environ, "RAY_AUTH_TOKEN": token, "FXSEARCH_STORAGE": str(folder / "runs")}
    own = {**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    own |= {"PYTHONPATH": str(folder / "old"), "OMP_NUM_THREADS": "1", **extra}
    nodes = [
        ["head.sh", "127.0.0.1", f"--port={port}", f"--dashboard-port={dashboard}", *options],
        *[["worker.sh", f"127.0.0.1:{port}", "--num-cpus=1"]] * workers,
    ]
    places = [Path("/tmp") / f"fx{secrets.token_hex(4)}" for _ in nodes]  # sockets need short paths
    running: list[subprocess.Popen[bytes]] = []
    try:
        for (script, *given), place in zip(nodes, places, strict=True):
            place.mkdir()
            shared = [f"--temp-dir={place}", f"--dashboard-agent-listen-port={free_port()}", "--block"]
            command = [str(SCRIPTS / script), *given, *shared]
            with (place / "log").open("wb") as log:
                running.append(
                    subprocess.Popen(command, env=own, stdout=log, stderr=log, start_new_session=True)
                )
            wait_for(lambda log=place / "log": b"Ray runtime started" in log.read_bytes(), script)
        client = {**environment, "PYTHONPATH": str(ROOT)}
        yield Cluster(f"http://127.0.0.1:{dashboard}", Storage(folder / "runs"), client)
    finally:
        while left := having(token):  # nodes, their workers and jobs
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for node in running:
                node.wait()
            time.sleep(0.2)
        for place in places:
            shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, tiny_search: Search) -> Iterator[Cluster]:
    """A head without CPUs and two workers with one each."""
    with started(tmp_path_factory.mktemp("cluster"), tiny_search, workers=2) as found:
        yield found


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


@pytest.mark.parametrize("address", ["head:6379", "http://:8265", "ray://head:10001"])
def test_an_address_that_is_none_of_a_job_server_is_refused(address, tmp_path) -> None:
    with pytest.raises(SearchError, match=rf"is http://HEAD:8265; got {address}$"):
        submit(address, Storage(tmp_path), "far", ["launch", SPEC_FILE])


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("http://127.0.0.1:{free}", "Connection refused"),
        ("http://no-such-host.invalid:8265", "no-such-host|[Nn]ame"),
        ("http://127.0.0.1:99999", "[Pp]ort"),
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
        launch = cluster.as_written("launch", write_spec(tmp_path, "far"))
        said = cluster.succeed(*launch)
        assert said == f"'far' is submitted to {cluster.address}; look at it with: fxsearch status far\n"
        assert cluster.refusal(*launch).startswith("search 'far' has a job at http://127.0.0.1")
        wait_for(lambda: reports(cluster.storage, "far"), "a report")
        told = cluster.succeed(*cluster.as_written("status", "far"))
        assert re.search(r"^state +running", told, re.MULTILINE)
        assert re.search(r"^job +runs", told, re.MULTILINE)

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

    def test_without_room_for_a_trial_a_search_waits_and_can_be_paused(self, cluster, tmp_path) -> None:
        path = write_spec(tmp_path, "large")
        gpu = ["--set", "resources.gpus_per_trial=1"]
        cluster.succeed("launch", path, "--address", cluster.address, *gpu)
        wait_for(lambda: "waiting for one" in cluster("logs", "large").out, "a word about it")
        cluster.succeed("pause", "large")
        wait_for(lambda: cluster.status("large")["job"] == "ended", "the end of the job")
        assert cluster.status("large")["state"] == "interrupted"
        assert Search("large", cluster.storage).trials() == []

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


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_cluster_of_no_workers_grows_for_a_search(tiny_search, tmp_path) -> None:
    port = free_port()
    gcs = f"{get_node_ip_address()}:{port}"
    nodes = {
        "ray.head.default": {
            "resources": {"CPU": 0},
            "node_config": {},
            "max_workers": 0,
        },  # Ray's name for it
        "worker": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    }
    growing = {
        "cluster_name": "growing",
        "max_workers": 2,
        "provider": {  # Ray's own: starts nodes here
            "type": "fake_multinode",
            "head_node_id": "f" * 56,
            "gcs_address": gcs,
        },
        "available_node_types": nodes,
        "head_node_type": "ray.head.default",
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{key: [] for key in COMMANDS},
    }
    (tmp_path / "growing.yaml").write_text(yaml.safe_dump(growing))
    options = [f"--port={port}", f"--autoscaling-config={tmp_path / 'growing.yaml'}"]
    # its nodes share a folder, where each would unpack a job's code anew: the search is driven from here
    extra = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "PYTHONPATH": str(ROOT)}
    with started(tmp_path, tiny_search, 0, *options, **extra) as cluster:
        driver = subprocess.Popen(
            [sys.executable, "-m", "search.cli", "launch", write_spec(tmp_path, "grown"), "--address", gcs],
            env={**cluster.environment, "RAY_AUTH_MODE": "token"},
        )
        wait_for(lambda: cluster.storage.has("grown"), "the search")
        search = Search("grown", cluster.storage)
        wait_for(lambda: sum(bool(row.metrics) for row in search.trials()) == 2, "a report of two trials")
        search.stop()
        assert driver.wait(START_SECONDS) == 0
        assert search.state == "complete"
        assert "waiting for one" in search.log()
