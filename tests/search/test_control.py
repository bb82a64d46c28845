"""Pausing, stopping, resuming and extending a search from another process, and what is told of it."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fxcore.errors import SearchError
from fxcore.training import Report
from search import Search, SearchSpec, launch
from search.launching import resume
from search.progress import Progress


class AtReport(Progress):
    """Does something once, when the first report has come."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act, self.acted, self.notes = act, False, list[str]()

    def reported(self, number: int, report: Report) -> None:
        if not self.acted:
            self.acted = True
            self.act()

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def spec(tiny_search: Search) -> SearchSpec:
    changes = {
        "name": "asked",
        "data": tiny_search.store().uri,
        "budget": {"trials": 2, "trial_steps": 180},
        "families": {"lstm": {"hidden": [4, 8]}},
    }
    return SearchSpec.from_dict({**tiny_search.spec.as_dict(), **changes})


def run(spec: SearchSpec, root: Path, act: Callable[[Search], None]) -> Search:
    """Launch it, with something done to it from outside at the first report."""

    def at_report() -> None:
        act(Search(spec.name, launched))

    from search.storage import Storage

    launched = Storage(root)
    return launch(spec, storage=root, engine="local", progress=AtReport(at_report))


def curves(search: Search) -> dict[int, list[int]]:
    return {row.id: [r.index for r in search.study.reports(row.id)] for row in search.trials()}


def test_a_paused_search_loses_no_report_and_resumes_by_its_name(spec, tmp_path):
    paused = run(spec, tmp_path, lambda search: search.pause())
    assert paused.state == "interrupted"
    assert [row.state for row in paused.trials()] == ["waiting"]
    assert 1 <= len(curves(paused)[0]) <= 2
    resumed = resume(spec.name, storage=tmp_path, engine="local")
    assert resumed.state == "complete"
    assert [row.state for row in resumed.trials()] == ["complete", "complete"]
    assert curves(resumed) == {0: list(range(1, 10)), 1: list(range(1, 10))}


def test_a_paused_search_computes_what_an_uninterrupted_one_does(spec, tmp_path):
    whole = launch(spec, storage=tmp_path / "whole", engine="local")
    run(spec, tmp_path / "paused", lambda search: search.pause())
    paused = resume(spec.name, storage=tmp_path / "paused", engine="local")
    assert {r.id: r.metrics for r in paused.trials()} == {r.id: r.metrics for r in whole.trials()}


def test_a_stopped_search_is_complete_with_what_it_has(spec, tmp_path):
    stopped = run(spec, tmp_path, lambda search: search.stop())
    assert stopped.state == "complete"
    assert [(row.state, row.reason) for row in stopped.trials()] == [("pruned", "the search was stopped")]
    assert stopped.best().id == 0


def test_stopping_a_search_that_was_paused_closes_its_trials(spec, tmp_path):
    paused = run(spec, tmp_path, lambda search: search.pause())
    paused.stop()
    assert paused.state == "complete"
    assert [row.state for row in paused.trials()] == ["pruned"]


def test_a_search_that_is_not_running_cannot_pause(tiny_search):
    with pytest.raises(SearchError, match="search 'tiny' is not running"):
        tiny_search.pause()


def test_a_search_is_extended_by_its_name(spec, tmp_path):
    launch(spec, storage=tmp_path, engine="local")
    extended = resume(spec.name, storage=tmp_path, engine="local", overrides=["budget.trials=3"])
    assert len(extended.trials()) == 3
    assert {row.state for row in extended.trials()} <= {"complete", "pruned"}


def test_the_first_ctrl_c_pauses_and_the_second_ends_at_once(spec, tmp_path):
    once = AtReport(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        launch(spec, storage=tmp_path, engine="local", progress=once)
    assert once.notes == ["running trials finish their reports; Ctrl-C again ends them now"]
    from search import open_search

    assert open_search(spec.name, tmp_path).state == "interrupted"

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        launch(spec, storage=tmp_path, engine="local", progress=AtReport(twice))
    assert signal.getsignal(signal.SIGINT) is before
    resumed = resume(spec.name, storage=tmp_path, engine="local")
    assert curves(resumed) == {0: list(range(1, 10)), 1: list(range(1, 10))}


def test_status_tells_who_drives_a_running_search_and_how_far_it_is(spec, tmp_path):
    seen = []
    complete = run(spec, tmp_path, lambda search: seen.append(search.status()))
    (running,) = seen
    assert (running["state"], running["process"], running["host"]) == (
        "running",
        os.getpid(),
        socket.gethostname(),
    )
    assert running["trials"] == {"running": 1}
    status = complete.status()
    assert (status["state"], status["process"], status["trials_wanted"]) == ("complete", None, 2)
    assert status["best_trial"] == complete.best().id
    assert status["log_mel_share"] == complete.best().metrics["log_mel_share"]


def test_the_log_has_a_line_for_each_trial_that_began_or_ended(spec, tmp_path):
    search = launch(spec, storage=tmp_path, engine="local")
    lines = search.log().splitlines()
    assert [line.split("  ", 1)[1].split(":")[0].split(",")[0] for line in lines] == [
        "trial 0 started",
        "trial 0 complete",
        "trial 1 started",
        "trial 1 complete",
    ]
