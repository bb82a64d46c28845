"""A search on a real cluster of two Ray nodes, one of which dies on the way."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

BIN = Path(sys.executable).parent
PORT = 7_379  # below the range of Ray's workers
TRIALS = 4


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """The environment of a cluster of a head and a worker with a CPU each, and the worker's process."""
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "FXSEARCH_STORAGE": str(tmp_path / "runs"),
    }
    folders = [Path("/tmp") / f"fx{secrets.token_hex(4)}" for _ in range(2)]  # sockets need short paths
    common = [str(BIN / "ray"), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    commands = [
        [*common, "--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folders[0]}"],
        [*common, f"--address=127.0.0.1:{PORT}", f"--temp-dir={folders[1]}"],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command, folder in zip(commands, folders, strict=True):
            folder.mkdir()
            with (folder / "log").open("wb") as log:
                started.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                )
            wait_for(partial(is_up, folder / "log"), "a Ray node", 60)
        yield environment, started[1]
    finally:
        for process in reversed(started):
            kill_node(process)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def is_up(log: Path) -> bool:
    return b"Ray runtime started" in log.read_bytes()


def kill_node(process: subprocess.Popen[bytes]) -> None:
    """End a node with everything that runs on it, as pulling its plug would."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.5)


def test_trials_of_a_node_that_dies_go_on_at_another(
    nodes: tuple[dict[str, str], subprocess.Popen[bytes]], tmp_path: Path, tiny_search: Any
) -> None:
    environment, worker = nodes
    search = {
        "name": "two-nodes",
        "data": tiny_search.store().uri,
        "budget": {"trials": TRIALS, "trial_seconds": 8},
        "families": {"lstm": {"hidden": [4, 12]}},
        "structured": False,
    }
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(search))
    launch = [
        str(BIN / "fxsearch"),
        "launch",
        str(tmp_path / "search.yaml"),
        "--address",
        f"127.0.0.1:{PORT}",
    ]

    def board() -> list[dict[str, Any]]:
        command = [str(BIN / "fxsearch"), "board", "two-nodes", "--json"]
        shown = subprocess.run(command, env=environment, capture_output=True, check=False)
        return json.loads(shown.stdout)["trials"] if shown.returncode == 0 else []

    def both_report() -> bool:
        return sum(t["best_step"] is not None and t["state"] == "running" for t in board()) == 2

    with subprocess.Popen(
        launch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as driver:
        wait_for(both_report, "a report from each node", 120)
        kill_node(worker)
        output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, output.decode()
    trials = board()
    assert len(trials) == TRIALS
    assert {t["state"] for t in trials} <= {"complete", "pruned"}
    assert b"its process died; it is started again" in output
    assert b"Traceback" not in output
