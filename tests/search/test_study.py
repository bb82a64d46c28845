"""The record of a search: asking, recording, finishing, resuming."""

import pytest

from fxcore.errors import SearchError
from fxcore.models import FAMILIES
from fxcore.training import Cost, Report
from search.config import SearchSpec
from search.record import Record
from search.study import Start, Study

SPEC = {
    "name": "amp",
    "data": "stores/amp",
    "budget": {"trials": 8, "trial_steps": 10},
    "families": {"conv": {"layers": [2, 4]}, "lstm": {"hidden": [4, 16]}},
    "seed": 3,
}


def new_record(tmp_path, **changes) -> Record:
    spec = SearchSpec.from_dict({**SPEC, **changes})
    return Record(Study.create(tmp_path / "study.db", spec, "digest", 44_100))


def report(index: int, value: float, best: float | None = None) -> Report:
    metrics = {"log_mel_share": value, "mr_stft": 0.5}
    best_metrics = {**metrics, "log_mel_share": value if best is None else best}
    return Report(index, 10 * index, float(index), 0.1, metrics, best_metrics, 10 * index, False)


def test_families_defaults_are_tried_first(tmp_path):
    record = new_record(tmp_path)
    assert [record.ask()[1].model.kind for _ in range(2)] == ["conv", "lstm"]


def test_no_configuration_is_drawn_twice(tmp_path):
    record = new_record(tmp_path, families={"conv": {"layers": [1, 6]}})
    identities = {record.ask()[1].identity("digest") for _ in range(6)}
    assert len(identities) == 6
    with pytest.raises(SearchError, match="no new configuration"):
        record.ask()
    assert len(record.study.board()) == 6  # what was drawn in vain is on no board


def test_same_seed_draws_the_same_trials(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    drawn = [[s.ask()[1] for _ in range(5)] for s in (new_record(tmp_path / "a"), new_record(tmp_path / "b"))]
    assert drawn[0] == drawn[1]


def test_a_reopened_study_draws_what_an_uninterrupted_one_would(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = new_record(tmp_path / "a")
    expected = [whole.ask() for _ in range(6)]
    first = new_record(tmp_path / "b")
    drawn = [first.ask() for _ in range(3)]
    second = Record(Study.open(tmp_path / "b" / "study.db", "amp"))
    assert drawn + [second.ask() for _ in range(3)] == expected


def test_board_is_best_first_with_the_metrics_of_the_best_report(tmp_path):
    record = new_record(tmp_path)
    for values in ((3.0, 2.0), (1.0, 4.0)):
        number, _ = record.ask()
        record.record_cost(number, Cost(100, 5, 2.0))
        record.record(number, report(1, values[0]))
        record.record(number, report(2, values[1], best=min(values)))
        record.finish(number, "complete")
    rows = record.study.board()
    assert [row.metrics["log_mel_share"] for row in rows] == [1.0, 2.0]
    assert [row.id for row in rows] == [1, 0]
    assert rows[0].parameters == 100
    assert [r.metrics["log_mel_share"] for r in record.study.reports(1)] == [1.0, 4.0]


def test_a_collapsed_trial_stands_after_the_worst_of_those_that_sound(tmp_path):
    record = new_record(tmp_path)
    for value, collapsed in ((1.0, True), (50.0, False)):
        number, _ = record.ask()
        record.record(number, report(1, value)._replace(collapsed=collapsed))
        record.finish(number, "collapsed" if collapsed else "complete")
    assert [(row.state, row.metrics["log_mel_share"]) for row in record.study.board()] == [
        ("complete", 50.0),
        ("collapsed", 1.0),
    ]


def test_reports_and_identities_of_an_older_version_are_read(tmp_path):
    """It knew fewer metrics, fewer settings and no collapse."""
    record = new_record(tmp_path)
    number, config = record.ask()
    record.record(number, report(1, 2.0))
    storage, trial_id = record.study.storage, record._ids[number]
    storage.set_trial_user_attr(trial_id, "identity", "as it was then")
    old = {key: value for key, value in report(1, 2.0)._asdict().items() if key != "collapsed"}
    storage.set_trial_user_attr(trial_id, "reports", [old])
    storage.set_trial_user_attr(trial_id, "config", {**config.as_dict(), "training": {"batch": 4}})
    again = Study.open(tmp_path / "study.db", "amp")
    assert again.reports(number) == [report(1, 2.0)]
    assert again.board()[0].metrics == report(1, 2.0).best
    assert again.config(number).training.batch == 4
    assert again.identity(number) == "as it was then"


def test_a_report_that_is_there_is_not_recorded_twice(tmp_path):
    record = new_record(tmp_path)
    number, _ = record.ask()
    assert record.record(number, report(1, 2.0))
    assert not record.record(number, report(1, 2.0))
    assert len(record.study.reports(number)) == 1


def test_trials_left_running_are_handed_out_again(tmp_path):
    record = new_record(tmp_path)
    ended, _ = record.ask()
    record.record(ended, report(1, 2.0))
    record.finish(ended, "pruned", "behind")
    left, config = record.ask()
    assert Record(Study.open(tmp_path / "study.db", "amp")).unfinished() == [(left, config)]


def test_every_final_state_is_kept_with_its_reason(tmp_path):
    record = new_record(tmp_path)
    for state in ("complete", "pruned", "diverged", "collapsed", "failed", "infeasible"):
        number, _ = record.ask()
        record.record(number, report(1, 2.0))
        record.finish(number, state, f"because {state}")
    assert {row.state: row.reason for row in record.study.board()} == {
        state: f"because {state}"
        for state in ("complete", "pruned", "diverged", "collapsed", "failed", "infeasible")
    }


def test_a_trial_that_does_not_exist_is_told_with_those_that_do(tmp_path):
    record = new_record(tmp_path)
    record.ask()
    with pytest.raises(SearchError, match="has no trial 7; its best are 0"):
        record.study.config(7)


def test_test_metrics_are_kept_beside_a_finished_trial(tmp_path):
    record = new_record(tmp_path)
    number, _ = record.ask()
    record.finish(number, "failed")
    assert record.study.test_metrics(number) is None
    record.study.record_test(number, {"esr": 0.5})
    assert Study.open(tmp_path / "study.db", "amp").test_metrics(number) == {"esr": 0.5}


def test_given_models_are_tried_first_and_beyond_the_budget(tmp_path):
    given = [
        FAMILIES.parse({"kind": "lstm", "hidden": 999}),
        FAMILIES.parse("hammerstein"),
    ]  # outside the space
    spec = SearchSpec.from_dict(SPEC)
    study = Study.create(tmp_path / "study.db", spec, "digest", 44_100, Start.of(spec, given))
    record = Record(study)
    drawn = [record.ask()[1].model for _ in range(4)]
    assert drawn[:2] == given
    assert [model.kind for model in drawn[2:]] == ["conv", "lstm"]
    assert study.trials_wanted == SPEC["budget"]["trials"] + 2
    assert Study.open(tmp_path / "study.db", "amp").trials_wanted == study.trials_wanted


def test_a_family_without_a_choice_of_outputs_is_drawn_beside_one_that_has(tmp_path):
    record = new_record(
        tmp_path,
        families={"fir": {"taps": [8, 64]}, "conv": {"layers": [1, 9]}},
        output={"kind": ["mixture"]},
    )
    outputs = {
        (config.model.kind, config.model.output.kind) for config in (record.ask()[1] for _ in range(8))
    }
    assert outputs == {("fir", "regression"), ("conv", "mixture")}
