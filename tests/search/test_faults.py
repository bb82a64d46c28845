"""What kills searches on a cluster of three Ray nodes, and what they lose by it: nothing.

After each fault the search is brought to its end and proven whole (`search.checking`).
"""

import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from search import Search, open_search
from search.checking import problems

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SOON = 60.0  # a machine of its own takes 4 to 15 s (BENCHMARKS.md); a busy one is not at fault
BIN = Path(sys.executable).parent
FAMILIES = {"lstm": {"hidden": [4, 12]}}


class Launched:
    """A search that a process of its own drives on the cluster."""

    def __init__(self, cluster: Any, data: str, name: str, **changes: Any) -> None:
        self.cluster, self.name = cluster, name
        self.root = Path(cluster.environment["FXSEARCH_STORAGE"])
        self.file = self.root / f"{name}.yaml"
        spec = {
            "name": name,
            "data": data,
            "budget": {"trials": 4, "trial_seconds": 6},
            "families": FAMILIES,
            "structured": False,
            "stopping": {"halving": False, "plateau": None},
            "resources": {"cpus_per_trial": 1},
        }
        self.file.write_text(yaml.safe_dump({**spec, **changes}))
        self.process = self.launch()

    def launch(self, *options: str) -> subprocess.Popen[str]:
        command = [BIN / "fxsearch", "launch", self.file, "--address", self.cluster.address, *options]
        environment = self.cluster.environment
        return subprocess.Popen(
            command,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def search(self) -> Search:
        return open_search(self.name, self.root)

    def reports(self) -> dict[int, int]:
        """How many reports each running trial has given."""
        try:
            search = self.search
            rows = [row for row in search.trials() if row.state == "running"]
            return {row.id: len(search.study.reports(row.id)) for row in rows}
        except Exception:  # noqa: BLE001  # it is not there yet, or just being written
            return {}

    def reports_of_open(self) -> dict[int, int]:
        """The same, of a search that nobody drives."""
        search = self.search
        rows = [row for row in search.trials() if row.state == "waiting"]
        return {row.id: len(search.study.reports(row.id)) for row in rows}

    def wait_until_running(self, trials: int = 2) -> None:
        self.cluster.wait_for(lambda: sum(n > 0 for n in self.reports().values()) >= trials, "reports", 180)

    def grown(self, numbers: list[int], before: dict[int, int]) -> bool:
        """Whether each of some trials has reported, or ended, since."""
        after = self.reports()
        return all(n not in after or after[n] > before[n] for n in numbers)

    def wait_for_resumed(self, seconds: float) -> float:
        """Seconds until every trial that runs now has reported again, or ended."""
        before = self.reports()
        return float(
            self.cluster.wait_for(lambda: self.grown([*before], before), "reports after the fault", seconds)
        )

    def end(self, seconds: float = 240) -> str:
        """What the driver printed, once it has ended well."""
        output, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, output
        assert "Traceback" not in output
        return output

    def check_whole(self, trials: int = 4) -> None:
        assert self.search.state == "complete"
        assert len(self.search.trials()) == trials
        assert problems(self.search) == []


@pytest.fixture
def launched(cluster: Any, tiny_search: Search) -> Iterator[Callable[..., Launched]]:
    """Launch searches on a whole cluster; what is left of them ends with the test."""
    cluster.start()
    begun: list[Launched] = []

    def launch(name: str, **changes: Any) -> Launched:
        begun.append(Launched(cluster, tiny_search.store().uri, name, **changes))
        return begun[-1]

    yield launch
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def test_a_trial_whose_process_is_killed_goes_on_within_seconds(cluster, launched):
    search = launched("actor")
    search.wait_until_running()
    (pid, *_) = cluster.trials("worker0")
    os.kill(pid, signal.SIGKILL)
    search.wait_for_resumed(SOON)
    output = search.end()
    search.check_whole()
    assert "its process died; it is started again from its checkpoint" in output


def test_trials_of_a_node_that_dies_go_on_at_another(cluster, launched):
    search = launched("node")
    search.wait_until_running()
    cluster.kill("worker1")
    search.wait_for_resumed(SOON)
    output = search.end()
    search.check_whole()
    assert "its process died; it is started again from its checkpoint" in output


def test_a_node_that_freezes_is_given_up_and_does_no_harm_when_it_thaws(cluster, launched):
    search = launched("frozen", budget={"trials": 2, "trial_seconds": 20})
    search.wait_until_running()
    cluster.freeze("worker1")
    died = "its process died; it is started again"
    cluster.wait_for(lambda: died in search.search.log(), "the frozen node's end", SOON)
    cluster.thaw("worker1")
    search.end()
    search.check_whole(trials=2)
    cluster.kill("worker1")  # it holds itself for dead


def test_a_trial_that_hangs_is_ended_and_the_search_goes_on(cluster, launched):
    search = launched("hung", budget={"trials": 3, "trial_seconds": 6, "silent_minutes": 1.0})
    search.wait_until_running()
    (pid, *_) = cluster.trials("worker0")
    os.kill(pid, signal.SIGSTOP)
    search.end()
    search.check_whole(trials=3)
    failed = [row for row in search.search.trials() if row.state == "failed"]
    assert [row.reason for row in failed] == ["it was silent for 1 min"]


def test_a_search_whose_driver_is_killed_goes_on_where_it_was(launched):
    search = launched("driver", budget={"trials": 5, "trial_seconds": 6})
    one_ended = "complete", "pruned"
    search.cluster.wait_for(
        lambda: search.reports() != {} and any(r.state in one_ended for r in search.search.trials()),
        "a trial that has ended while another runs",
        240,
    )
    os.killpg(search.process.pid, signal.SIGKILL)
    search.process.communicate()
    ended = {row.id: row for row in search.search.trials() if row.state in one_ended}
    before = {row.id: search.search.study.reports(row.id) for row in search.search.trials()}
    assert search.search.state == "interrupted"
    search.process = search.launch()
    output = search.end()
    search.check_whole(trials=5)
    for row in search.search.trials():
        if row.id in ended:
            assert row.metrics == ended[row.id].metrics
            assert f"trial {row.id} started" not in output
        else:
            held = before.get(row.id, [])[:-1]  # at most one is lost
            assert search.search.study.reports(row.id)[: len(held)] == held


def test_a_search_whose_cluster_is_gone_goes_on_at_another(cluster, launched):
    search = launched("gone")
    search.wait_until_running()
    before = {n: search.search.study.reports(n) for n in search.reports()}
    cluster.stop()
    output, _ = search.process.communicate(timeout=120)
    assert search.process.returncode == 2, output
    assert "was lost; launch the search again, there or elsewhere, to go on" in output
    cluster.start()
    search.process = search.launch()
    search.end()
    search.check_whole()
    for number, held in before.items():
        assert search.search.study.reports(number)[: len(held) - 1] == held[:-1]  # each had one at least


def test_a_study_that_is_locked_is_waited_for(launched):
    search = launched("locked")
    search.wait_until_running()
    database = sqlite3.connect(search.search.folder / "study.db", timeout=30, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    time.sleep(20)
    database.execute("ROLLBACK")
    database.close()
    output = search.end()
    search.check_whole()
    assert "the study's database does not answer (database is locked); trying again" in output


def test_losses_that_are_no_number_or_explode_and_constant_outputs_free_their_slots(cluster, launched):
    """At this learning rate the mean loss of ten steps is NaN for 64 channels and some 1e7 for 8."""
    search = launched(
        "mad",
        budget={"trials": 4, "trial_steps": 90},
        families={"conv": {"layers": 16, "window": 32, "channels": [1, 8, 64]}, "fir": {"taps": 64}},
        training={"learning_rate": 1.0, "warm_up_share": 0.0, "block_samples": 256, "batch": 2},
    )
    search.end()
    search.check_whole()
    exploded, constant = "the loss exploded at step 10", "its output was constant up to step 30"
    ends = {
        row.config["model"].get("channels", row.family): (
            row.state,
            row.reason,
            len(search.search.study.reports(row.id)),
        )
        for row in search.search.trials()
    }
    assert ends == {
        1: ("collapsed", constant, 3),
        8: ("diverged", exploded, 1),
        64: ("diverged", exploded, 1),
        "fir": ("complete", None, 1),
    }
    checked = subprocess.run(
        [BIN / "fxsearch", "check", search.name], env=cluster.environment, text=True, capture_output=True
    )
    assert checked.stdout == "'mad' is whole: 4 trials, complete\n"


def test_a_disk_that_is_full_keeps_a_trial_at_its_last_checkpoint_until_there_is_room(cluster, launched):
    search = launched("full", budget={"trials": 2, "trial_seconds": 20})
    search.wait_until_running()
    (pid, *_) = cluster.trials("worker0")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # no file grows beyond that
    output = search.end()
    assert "trials that wait: 1; the same launch goes on with them" in output
    assert search.search.state == "interrupted"
    (waiting,) = [row for row in search.search.trials() if row.state == "waiting"]
    assert "its checkpoint was not kept" in waiting.reason
    assert "the disk is full; free some space" in waiting.reason
    search.process = search.launch()
    search.end()
    search.check_whole(trials=2)
    assert {row.reason for row in search.search.trials()} == {None}


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_checkpoint_that_is_damaged_is_refused_and_the_one_before_is_used(launched, damage):
    name = f"damaged-{damage}"
    search = launched(name, budget={"trials": 2, "trial_steps": 900})
    search.cluster.wait_for(lambda: any(n >= 2 for n in search.reports().values()), "two reports", 180)
    search.process.send_signal(signal.SIGINT)
    search.process.communicate(timeout=120)
    (number, *_) = [n for n, count in search.reports_of_open().items() if count >= 2]
    before = search.search.study.reports(number)
    newest = search.search.checkpoint(number)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data[:-100] if damage == "truncated" else data)
    search.process = search.launch()
    search.end()
    search.check_whole(trials=2)
    after = search.search.study.reports(number)
    assert [timeless(r) for r in after[: len(before)]] == [timeless(r) for r in before]


def timeless(report: Any) -> Any:
    return report._replace(compute_seconds=0.0)


def test_a_second_driver_is_refused_and_told_of_the_first(launched):
    search = launched("two")
    search.wait_until_running(1)
    second = search.launch()
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 2
    told = rf"'two' is already driven by process {search.process.pid} on {re.escape(socket.gethostname())}"
    assert re.search(rf"{told}, since \d+ min", output)
    search.end()
    search.check_whole()


def test_ctrl_c_lets_trials_reach_their_reports_and_a_second_ends_at_once(launched):
    search = launched("interrupted", budget={"trials": 3, "trial_seconds": 10})
    search.wait_until_running()
    search.process.send_signal(signal.SIGINT)
    output, _ = search.process.communicate(timeout=120)
    assert search.process.returncode == 130, output
    assert "running trials finish their reports; Ctrl-C again ends them now" in output
    search.process = search.launch()
    search.wait_until_running(1)
    for _ in range(2):
        search.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    output, _ = search.process.communicate(timeout=60)
    assert search.process.returncode == 130, output
    assert "Traceback" not in output
    assert search.search.state == "interrupted"
    search.process = search.launch()
    search.end()
    search.check_whole(trials=3)


def test_trials_share_a_gpu(cluster, launched):
    """Two logical GPUs of two nodes have room for eight quarters; torch finds none, and that is told."""
    resources = {"cpus_per_trial": 0.25, "gpus_per_trial": 0.25}
    search = launched("shares", budget={"trials": 4, "trial_seconds": 10}, resources=resources)
    cluster.wait_for(lambda: len(cluster.trials("worker0") + cluster.trials("worker1")) > 2, "trials", 240)
    search.end()
    search.check_whole()
    told = {row.reason for row in search.search.trials() if row.state == "complete"}
    assert told <= {None, "torch found no GPU where it ran; trained on the CPU"}
