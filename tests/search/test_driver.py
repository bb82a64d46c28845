"""When a search or one of its trials ends before its budget is spent, and what it keeps."""

import resource
from pathlib import Path
from typing import Any

import pytest

from fxcore.errors import SearchError
from search import Search, SearchSpec, launch
from search.checking import problems
from search.config import TrialTask
from search.trial import TrialRun

AUDIBLE = {"lstm": {"hidden": [4, 12], "skip": True}}  # with the dry added, it is from the first step


@pytest.fixture
def searched(tiny_search: Search, tmp_path: Path) -> Any:
    """Launch a search on the same data; quick trials unless told otherwise."""

    def run(**changes: Any) -> Search:
        values = {
            **tiny_search.spec.as_dict(),
            "data": tiny_search.store().uri,
            "budget": {"trials": 4, "trial_steps": 45},
            "families": AUDIBLE,
            "stopping": {"halving": False, "plateau": None},
            **changes,
        }
        return launch(SearchSpec.from_dict(values), storage=tmp_path, engine="local")

    return run


def test_a_search_ends_once_its_target_is_reached(searched):
    search = searched(budget={"trials": 4, "trial_steps": 45, "target": 50.0})
    (row,) = search.trials()
    assert (row.state, row.reason) == ("pruned", "the target of 50 was reached")
    assert search.state == "complete"
    assert problems(search) == []


def test_a_search_ends_once_its_best_has_not_moved_for_so_many_trials(searched):
    search = searched(budget={"trials": 30, "trial_steps": 9, "patience": 2})
    rows = sorted(search.trials(), key=lambda row: row.id)
    best = min(rows, key=lambda row: row.metrics["log_mel_share"])
    assert len(rows) < 30
    assert rows[-1].id == best.id + 2
    assert "no better model in 2 trials" in search.log()


def test_a_search_ends_once_its_gpu_hours_are_spent(searched):
    """The engine of this test has no GPUs to give out: what counts is the share that a trial asks for."""
    resources = {"gpus_per_trial": 0.5}
    search = searched(budget={"trials": 4, "trial_steps": 45, "gpu_hours": 1e-9}, resources=resources)
    (row,) = search.trials()
    assert (row.state, row.reason) == ("pruned", "its 1e-09 GPU-hours were spent")


def test_a_trial_on_a_plateau_is_ended(searched):
    """A learning rate of next to nothing changes no metric."""
    search = searched(
        budget={"trials": 1, "trial_steps": 90},
        training={"learning_rate": 1e-12, "batch": 2, "block_samples": 256},
        stopping={"halving": False, "plateau": 2},
    )
    (row,) = search.trials()
    assert (row.state, row.reason) == ("complete", "no better for 2 reports")
    assert len(search.study.reports(row.id)) < 9


def test_only_the_best_models_are_kept(searched):
    search = searched(budget={"trials": 5, "trial_steps": 9}, keep_models=2)
    kept = [search.checkpoints.has(search.study.identity(row.id)) for row in search.trials()]
    assert kept == [True, True, False, False, False]
    files = list((search.folder / "checkpoints").rglob("*.safetensors"))
    assert len(files) == 2
    with pytest.raises(SearchError, match="not among the best 2 that are kept"):
        search.playable(search.trials()[-1].id)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"parameters": 100}, "parameters; the limit is 100"),
        ({"realtime_factor": 1e6}, "times real time; the limit is 1e"),
    ],
)
def test_models_that_are_too_dear_are_not_trained(searched, limits, told):
    search = searched(limits=limits)
    assert search.trials() == []
    assert told in search.log()


def test_a_receptive_field_is_limited(searched):
    """At 8 kHz, 5 ms are 40 samples."""
    families = {"conv": {"layers": [1, 6], "window": [8, 256], "channels": 2}}
    search = searched(families=families, limits={"receptive_field_ms": 5.0})
    assert len(search.trials()) == 4
    assert all(row.receptive_field <= 40 for row in search.trials())


def test_a_warm_start_is_checked_and_remembered(searched):
    searched(name="first", budget={"trials": 3, "trial_steps": 9})
    with pytest.raises(SearchError, match=r"no search 'fist'.*did you mean 'first'"):
        searched(name="second", warm_start=["fist"])
    second = searched(name="second", warm_start=["first"], budget={"trials": 1, "trial_steps": 9}, seed=8)
    assert len(second.study.start.known) == 3
    first_drawn = min(second.trials(), key=lambda row: row.id)
    assert second.study.start.draws[0]["lstm.hidden"] == first_drawn.config["model"]["hidden"]


@pytest.fixture
def address_space() -> Any:
    """Limit the memory that this process may take in addition, in MB."""
    before = resource.getrlimit(resource.RLIMIT_AS)

    def limit(megabytes: int) -> None:
        status = Path("/proc/self/status").read_text()
        (now,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, ((now << 10) + (megabytes << 20), before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_AS, before)


WIDE = {"conv": {"layers": 2, "window": 16, "channels": 64}}  # a batch of 64 x 8,192 takes about 600 MB


def test_a_trial_that_ran_out_of_memory_goes_on_with_half_the_batch(searched, tmp_path):
    search = searched(budget={"trials": 1, "trial_steps": 9})
    task = TrialTask(
        number=0,
        identity="again",
        config=search.study.config(0),
        store=search.store().uri,
        checkpoints=str(tmp_path / "checkpoints"),
        cpus=1,
        gpus=0,
        halvings=1,
    )
    run = TrialRun(task)
    assert [report.index for report in run] == list(range(1, 10))
    assert run.remark == "out of memory with a batch of 2; trained with 1"


@pytest.mark.slow
def test_a_model_that_does_not_fit_into_memory_at_all_is_infeasible(searched, address_space):
    training = {"batch": 128, "block_samples": 8192}
    searched(name="before", families=WIDE, budget={"trials": 1, "trial_steps": 1}, training={"batch": 1})
    address_space(300)
    search = searched(families=WIDE, budget={"trials": 1, "trial_steps": 2}, training=training)
    (row,) = search.trials()
    assert row.state == "infeasible"
    assert row.reason == "it does not fit into memory, with a batch of 64 either"
