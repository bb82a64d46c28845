"""Searches from launch to end: the same on every engine, resumed when interrupted, clear where they fail."""

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from fxcore.errors import SearchError, StoreError
from fxcore.metrics import METRICS
from fxcore.training import Report
from search import Search, SearchSpec, launch, open_search
from search.config import TrialConfig
from search.lease import held
from search.progress import Progress

TRIAL_NAMES = ("ray::TrialActor", "ray::ResourceTrainable")  # waiting for work, and at work


class Diary(Progress):
    """Keeps all that a driver tells."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.reports: list[tuple[int, Report]] = []
        self.finals: dict[int, tuple[str, str | None]] = {}
        self.notes: list[str] = []

    def started(self, number: int, config: TrialConfig) -> None:
        self.begun.append(number)

    def reported(self, number: int, report: Report) -> None:
        self.reports.append((number, report))

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self.finals[number] = state, reason

    def note(self, text: str) -> None:
        self.notes.append(text)


class Interrupter(Diary):
    """Presses Ctrl-C at one report of one trial."""

    def __init__(self, number: int, index: int) -> None:
        super().__init__()
        self.at = number, index

    def reported(self, number: int, report: Report) -> None:
        super().reported(number, report)
        if (number, report.index) == self.at:
            raise KeyboardInterrupt


class Killer(Diary):
    """Kills every process that runs a trial."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def kill(self) -> None:
        now = trial_processes()
        for pid in now:
            os.kill(pid, signal.SIGKILL)
        self.killed += now


class KillerOnce(Killer):
    """At the second report of trial 0."""

    def reported(self, number: int, report: Report) -> None:
        super().reported(number, report)
        if not self.killed and (number, report.index) == (0, 2):
            self.kill()


class KillerBetween(Killer):
    """As the first trial ends: its process is about to be given another."""

    def ended(self, number: int, state: str, reason: str | None) -> None:
        super().ended(number, state, reason)
        if not self.killed:
            self.kill()


class KillerAlways(Killer):
    """At every report of trial 0."""

    def reported(self, number: int, report: Report) -> None:
        super().reported(number, report)
        if number == 0:
            self.kill()


def trial_processes() -> list[int]:
    """Ray's workers that run a trial and descend from this process."""
    parents, names = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            names[int(fields["Pid"])] = (status.parent / "cmdline").read_text()
            parents[int(fields["Pid"])] = int(fields["PPid"])
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return [pid for pid, name in names.items() if name.startswith(TRIAL_NAMES) and ours(pid)]


def spec_of(search: Search, **changes: object) -> SearchSpec:
    """The search's own specification, changed, on the same data."""
    return SearchSpec.from_dict({**search.spec.as_dict(), "data": search.store().uri, **changes})


def copy_of(search: Search, root: Path) -> Path:
    """A storage root with a copy of the search."""
    shutil.copytree(search.folder, root / "searches" / search.name)
    return root


def outcome(search: Search) -> dict[int, tuple[object, ...]]:
    """All that a trial computed, its costs in time left out."""

    def computed(report: Report) -> tuple[object, ...]:
        return report._replace(compute_seconds=0.0)

    return {
        row.id: (row.state, row.config, *(computed(report) for report in search.study.reports(row.id)))
        for row in search.trials()
    }


@pytest.fixture(scope="module")
def again(tiny_search: Search, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """The tiny search once more, in a storage of its own; tests that change it take a copy."""
    return launch(spec_of(tiny_search), storage=tmp_path_factory.mktemp("again"), engine="local")


def test_a_budget_in_steps_repeats_exactly(tiny_search, again):
    assert outcome(again) == outcome(tiny_search)
    assert len(outcome(again)) == 3


def test_an_interrupted_search_goes_on_where_it_was(again, tmp_path):
    interrupter = Interrupter(number=1, index=4)
    with pytest.raises(KeyboardInterrupt):
        launch(again.spec, storage=tmp_path, engine="local", progress=interrupter)
    search = open_search(again.name, tmp_path)
    assert search.state == "interrupted"
    assert {row.id: row.state for row in search.trials()} == {0: "complete", 1: "waiting"}
    diary = Diary()
    resumed = launch(again.spec, storage=tmp_path, engine="local", progress=diary)
    assert diary.begun == [1, 2]
    assert diary.reports[0] == interrupter.reports[-1]  # the checkpoint's, to the last digit of its time
    assert resumed.state == "complete"
    assert outcome(resumed) == outcome(again)


def test_a_complete_search_is_left_as_it_is_without_starting_an_engine(again):
    before, diary = outcome(again), Diary()
    found = launch(again.spec, storage=again.storage.root, address="no-cluster:1", progress=diary)
    assert (diary.begun, diary.reports) == ([], [])
    assert diary.notes == ["search 'tiny' is complete; a larger budget extends it"]
    assert found.state == "complete"
    assert outcome(found) == before


def test_a_larger_budget_extends_a_complete_search(again, tmp_path):
    budget = {**again.spec.budget.as_dict(), "trials": 5}
    diary = Diary()
    extended = launch(
        spec_of(again, budget=budget), storage=copy_of(again, tmp_path), engine="local", progress=diary
    )
    assert len(diary.begun) == 2
    assert extended.state == "complete"
    kept = {number: trial for number, trial in outcome(extended).items() if number not in diary.begun}
    assert kept == outcome(again)


@pytest.mark.parametrize("change", [{"families": {"lstm": {"hidden": [4, 9]}}}, {"seed": 1}])
def test_another_search_of_the_same_name_is_refused(again, change):
    with pytest.raises(SearchError, match=r"with other settings or other data exists in .*another --name"):
        launch(spec_of(again, **change), storage=again.storage.root, engine="local")


def test_a_search_that_is_driven_is_refused_and_says_by_whom(again):
    with held(again.study.engine, again.name):
        assert again.state == "running"
        with pytest.raises(SearchError, match=f"already driven by process {os.getpid()}"):
            launch(again.spec, storage=again.storage.root, engine="local")


def test_a_trial_that_cannot_run_is_failed_with_its_reason_and_the_search_goes_on(tiny_search, tmp_path):
    families = {"conv": {"window": 30_000, "layers": 2, "channels": 2}, "lstm": {"hidden": 4}}
    spec = spec_of(tiny_search, families=families, budget={"trials": 2, "trial_steps": 9})
    search = launch(spec, storage=tmp_path, engine="local")
    lstm, conv = search.trials()
    assert (lstm.family, lstm.state) == ("lstm", "complete")
    assert (conv.family, conv.state, conv.metrics) == ("conv", "failed", {})
    assert conv.reason.startswith("a window of ")
    assert "longer than every training recording" in conv.reason
    assert search.best().id == lstm.id
    with pytest.raises(SearchError, match=f"trial {conv.id} of 'tiny' has no model"):
        search.playable(conv.id)


def test_a_search_whose_trials_all_failed_says_why(tiny_search, tmp_path):
    families = {"conv": {"window": 30_000, "layers": 2, "channels": 2}}
    spec = spec_of(tiny_search, families=families, budget={"trials": 1, "trial_steps": 9})
    with pytest.raises(SearchError, match="no trained model; trial 0 failed: a window of"):
        launch(spec, storage=tmp_path, engine="local").best()


def test_a_trial_that_diverges_is_told_apart_and_its_metrics_are_finite(tiny_search, tmp_path):
    spec = spec_of(
        tiny_search,
        families={"conv": {"layers": 16, "window": 32, "channels": 128}},
        training={"learning_rate": 1.0, "warm_up_share": 0.0, "block_samples": 256, "batch": 2},
        budget={"trials": 1, "trial_steps": 9},
    )
    search = launch(spec, storage=tmp_path, engine="local")
    (row,) = search.trials()
    assert (row.state, row.reason) == ("diverged", "the loss exploded at step 2")
    assert all(0.0 <= value < float("inf") for value in row.metrics.values())
    with pytest.raises(SearchError, match="no trained model; trial 0 diverged: the loss"):
        search.best()


def test_a_trial_whose_output_is_constant_is_told_apart_and_ranks_last(tiny_search, tmp_path):
    """Sixteen layers of one ReLU each are as good as surely dead: what the thesis' LSTM was."""
    families = {"conv": {"layers": 16, "window": 32, "channels": 1}, "lstm": {"hidden": 4}}
    spec = spec_of(tiny_search, families=families, objective="esr", budget={"trials": 2, "trial_steps": 9})
    search = launch(spec, storage=tmp_path, engine="local")
    lstm, conv = search.trials()
    assert (lstm.family, lstm.state) == ("lstm", "complete")
    assert (conv.family, conv.state) == ("conv", "collapsed")
    assert conv.reason == "its output was constant up to step 3"
    assert len(search.study.reports(conv.id)) == 3  # its slot is free then
    assert conv.metrics["esr"] < METRICS["esr"].worst  # it is told as it is
    assert search.best().id == lstm.id
    alone = launch(
        spec_of(tiny_search, families={"conv": families["conv"]}, budget={"trials": 1, "trial_steps": 9}),
        storage=tmp_path / "alone",
        engine="local",
    )
    with pytest.raises(SearchError, match="no trained model; trial 0 collapsed: its output was constant"):
        alone.best()


def test_a_full_disk_interrupts_a_search_and_it_resumes(again, tmp_path, full_disk):
    class Filler(Diary):
        def reported(self, number: int, report: Report) -> None:
            super().reported(number, report)
            if (number, report.index) == (1, 3):
                disk.enter_context(full_disk(1000))

    with full_disk(500), pytest.raises(SearchError, match="is the disk full") as caught:
        launch(again.spec, storage=tmp_path, engine="local")
    assert "\n" not in str(caught.value)
    with pytest.raises(SearchError, match="no search 'tiny'"):
        open_search(again.name, tmp_path)
    with ExitStack() as disk, pytest.raises(SearchError, match="is the disk full") as caught:
        launch(again.spec, storage=tmp_path, engine="local", progress=Filler())
    assert "\n" not in str(caught.value)
    assert open_search(again.name, tmp_path).state == "interrupted"
    assert outcome(launch(again.spec, storage=tmp_path, engine="local")) == outcome(again)


def test_a_corrupt_store_is_refused_before_there_is_a_search(tiny_search, tmp_path, monkeypatch):
    monkeypatch.setenv("FXSEARCH_CACHE", str(tmp_path / "cache"))
    store = tmp_path / "stores" / "fuzz"
    shutil.copytree(tiny_search.store().uri, store)
    shard = sorted(store.glob("test-0*.parquet"))[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match=f"shard {shard.name} is corrupt"):
        launch(spec_of(tiny_search, data=str(store)), storage=tmp_path, engine="local")
    assert not (tmp_path / "searches").exists()


@pytest.fixture(scope="module")
def on_ray(tiny_search: Search, tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Killer]:
    """The tiny search on a Ray of its own, whose workers get killed once."""
    killer = KillerOnce()
    return launch(spec_of(tiny_search), storage=tmp_path_factory.mktemp("ray"), progress=killer), killer


def test_trials_on_ray_are_those_of_the_local_engine(tiny_search, on_ray):
    search, _ = on_ray
    assert search.state == "complete"
    assert outcome(search) == outcome(tiny_search)


def test_a_trial_whose_process_was_killed_resumes_from_its_checkpoint(on_ray):
    search, killer = on_ray
    assert killer.killed
    assert "trial 0: its process died; it is started again from its checkpoint" in killer.notes
    reports = [report for number, report in killer.reports if number == 0]
    assert reports[1] == reports[2]  # given again by the new process, to the last digit of its time
    assert [report.index for report in reports] == [1, 2, 2, *range(3, 10)]
    assert search.study.reports(0) == [*reports[:2], *reports[3:]]  # recorded once
    assert killer.finals == dict.fromkeys(range(3), ("complete", None))


@pytest.mark.slow
def test_a_trial_whose_process_was_killed_before_it_began_is_started_in_another(tiny_search, tmp_path):
    killer = KillerBetween()
    search = launch(spec_of(tiny_search), storage=tmp_path, progress=killer)
    assert killer.killed
    assert "trial 2: its process died; it is started again from its checkpoint" in killer.notes
    assert outcome(search) == outcome(tiny_search)


@pytest.mark.slow
def test_a_trial_whose_process_dies_each_time_is_failed_and_the_search_goes_on(tiny_search, tmp_path):
    killer = KillerAlways()
    one_at_a_time = {"cpus_per_trial": os.cpu_count()}
    search = launch(spec_of(tiny_search, resources=one_at_a_time), storage=tmp_path, progress=killer)
    failed = ("failed", "its process failed too often")
    assert killer.finals == {0: failed, 1: ("complete", None), 2: ("complete", None)}
    assert [number for number, _ in killer.reports].count(0) == 4
    assert search.state == "complete"
    assert search.best().id != 0


def test_more_processors_than_there_are_is_one_clear_error(tiny_search, tmp_path):
    spec = spec_of(tiny_search, resources={"cpus_per_trial": 4096})
    with pytest.raises(SearchError) as caught:
        launch(spec, storage=tmp_path)
    assert "a trial wants 4096 CPUs, the cluster has " in str(caught.value)
    assert "set resources.cpus_per_trial lower" in str(caught.value)
    assert "\n" not in str(caught.value)
