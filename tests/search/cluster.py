"""A Ray cluster on this machine whose nodes can be killed and frozen, for tests and benchmarks."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> float:
    """Seconds until it holds."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)
    return time.monotonic() - start


class Cluster:
    """A head that runs no trials, and workers of so many CPUs each, all on this machine."""

    wait_for = staticmethod(wait_for)

    PORT = 7_379  # below the range of Ray's workers
    HEALTH = {  # a node that is frozen is noticed within seconds
        "RAY_health_check_initial_delay_ms": "2000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "5",
    }

    def __init__(self, storage: Path, health: Mapping[str, str] = HEALTH, cpus: int = 1) -> None:
        self.environment = {
            **os.environ,
            **health,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "FXSEARCH_STORAGE": str(storage),
            "AWS_ACCESS_KEY_ID": "test",  # of the bucket that some searches use
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RAY_worker_niceness": "0",  # else anything else on the machine goes first
            "OMP_NUM_THREADS": "1",
        }
        self.cpus = cpus
        self.address = f"127.0.0.1:{self.PORT}"
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self._folders: dict[str, Path] = {}

    def start(self, workers: int = 2) -> None:
        """Start what is not running, the head first."""
        for name in ["head", *(f"worker{i}" for i in range(workers))]:
            if name not in self.nodes or self.nodes[name].poll() is not None:
                self._start(name)

    def kill(self, name: str) -> None:
        """End a node with everything that runs on it, as pulling its plug would."""
        self._signal(name, signal.SIGKILL)
        self.nodes.pop(name).wait()
        shutil.rmtree(self._folders.pop(name), ignore_errors=True)

    def freeze(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def stop(self) -> None:
        for name in reversed(list(self.nodes)):
            self.kill(name)

    def trials(self, name: str) -> list[int]:
        """The processes of a node that run trials."""
        names = (b"ray::TrialActor", b"ray::ResourceTrainable")  # waiting for work, and at work
        return [pid for pid in self._processes(name) if command_of(pid).startswith(names)]

    def _start(self, name: str) -> None:
        folder = Path("/tmp") / f"fx{secrets.token_hex(4)}"  # sockets need short paths
        folder.mkdir()
        role = ["--head", f"--port={self.PORT}", "--num-cpus=0", "--include-dashboard=false"]
        if name != "head":
            role = [f"--address={self.address}", f"--num-cpus={self.cpus}", "--num-gpus=1"]  # a logical one
        ray = Path(sys.executable).parent / "ray"
        command = [str(ray), "start", "--block", "--disable-usage-stats", *role]
        with (folder / "log").open("wb") as log:
            self.nodes[name] = subprocess.Popen(
                [*command, f"--temp-dir={folder}"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._folders[name] = folder
        wait_for(lambda: b"Ray runtime started" in (folder / "log").read_bytes(), f"{name}", 90)

    def _signal(self, name: str, number: int) -> None:
        for pid in self._processes(name):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _processes(self, name: str) -> list[int]:
        """A node's processes, its own first: they are in its session, or descend from it."""
        root = self.nodes[name].pid
        found, children = [root], children_by_parent()
        for pid in found:
            found += children.get(pid, [])
        return found


def children_by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
            found.setdefault(parent, []).append(int(path.parent.name))
    return found


def command_of(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    return b""
