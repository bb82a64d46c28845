"""What a search draws, and what it learns from: its own trials and those of earlier searches."""

import time
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxcore.models import FAMILIES
from fxcore.training import Cost, Report
from search.config import SearchSpec
from search.record import Record
from search.sampler import Sampler, _sampler
from search.shown import BEST, LATEST_ENDED, LATEST_RUNNING, MOST, ShownTrials
from search.study import Start, Study

SPEC = {
    "name": "amp",
    "data": "stores/amp",
    "budget": {"trials": 80, "trial_steps": 10},
    "families": {"conv": {"layers": [1, 8], "channels": [4, 32]}, "lstm": {"hidden": [4, 64]}},
    "seed": 3,
}


def record_of(tmp_path, start: Start | None = None, **changes) -> Record:
    spec = SearchSpec.from_dict({**SPEC, **changes})
    return Record(Study.create(tmp_path / "study.db", spec, "digest", 44_100, start))


def outcome(model: dict[str, Any]) -> tuple[float, float]:
    """Objective and times real time: LSTMs are the better the nearer to 32 units, convs are poor."""
    if model["kind"] == "conv":
        return 3.0, 1.0
    return abs(model["hidden"] - 32) / 32 + model["layers"] - 1, 40.0 / model["hidden"] / model["layers"]


def run(record: Record, trials: int) -> list[tuple[str, float]]:
    """So many trials, and what they came to."""
    found = []
    for _ in range(trials):
        number, config = record.ask()
        model = config.model.as_dict()
        value, cost = outcome(model)
        metrics = {"log_mel_share": value, "mr_stft": 0.5}
        record.record_cost(number, Cost(100, 5, cost))
        record.record(number, Report(1, 10, 1.0, 0.1, metrics, metrics, 10, False))
        record.finish(number, "complete")
        found.append((model["kind"], value))
    return found


def explore(kind: str, trials: int, **families: Any) -> list[list[float]]:
    """The same without a record: what each trial came to."""
    space = SearchSpec.from_dict({**SPEC, **({"families": families} if families else {})}).space()
    sampler, found = Sampler(kind, space, 3), []
    for number in range(trials):
        drawn = sampler.draw(number)
        value, cost = outcome(drawn.model.as_dict())
        values = [value, 1 / cost] if kind == "nsga2" else [value]
        sampler.begin(number, drawn)
        sampler.finish(number, TrialState.COMPLETE, values)
        found.append(values)
    return found


def test_tpe_comes_nearer_than_random_draws():
    tpe, random = (np.mean(explore(kind, 60)[20:]) for kind in ("tpe", "random"))
    assert tpe < 0.7 * random


@pytest.mark.parametrize("kind", ["tpe", "nsga2"])
def test_a_search_that_is_resumed_draws_what_an_uninterrupted_one_would(tmp_path, kind):
    for name in ("whole", "resumed"):
        (tmp_path / name).mkdir()
    changes = {"sampler": kind, "families": {"lstm": {"hidden": [4, 999]}}}
    whole = run(record_of(tmp_path / "whole", **changes), 26)
    record = record_of(tmp_path / "resumed", **changes)
    first = run(record, 14)
    again = Record(Study.open(tmp_path / "resumed" / "study.db", "amp"))
    assert first + run(again, 12) == whole


def test_nsga2_breeds_from_the_front_of_quality_and_playing_cost():
    """Better LSTMs cost more: from the first generation of 20 to the fourth, the front is approached."""
    lstm = {"hidden": [4, 256], "layers": [1, 4]}
    values = np.array(explore("nsga2", 160, lstm=lstm))
    first, later = values[:20], values[-20:]

    def beaten(points: Any) -> int:
        """How many of all trials are worse in both than one of these."""
        return sum(bool((points < value).all(1).any()) for value in values)

    assert beaten(later) > beaten(first)


def test_what_other_searches_found_is_known_from_the_start(tmp_path):
    (tmp_path / "cold").mkdir()
    (tmp_path / "warm").mkdir()
    cold = record_of(tmp_path / "cold")
    run(cold, 20)
    start = Start.of(cold.spec)
    for row in cold.study.board():
        start.known.append((row.config, [row.metrics["log_mel_share"]]))
    warm = record_of(tmp_path / "warm", start, seed=4)
    families = [kind for kind, _ in run(warm, 10)]
    assert families[2:].count("lstm") >= 7  # after each family's defaults


def test_models_outside_the_space_are_not_learnt_from():
    spec = SearchSpec.from_dict(SPEC)
    sampler = Sampler("tpe", spec.space(), 0)
    inside, outside = (
        FAMILIES.parse({"kind": "lstm", "hidden": 8}),
        FAMILIES.parse({"kind": "lstm", "hidden": 99}),
    )
    assert sampler.learn(inside, inside.training, [1.0])
    assert not sampler.learn(outside, outside.training, [1.0])
    assert not sampler.learn(FAMILIES.parse("gru"), FAMILIES.parse("gru").training, [1.0])


def ended_trials(number: int) -> list[FrozenTrial]:
    """Trials of one value, most of them stopped on the way; good are those numbered 7 mod 50."""
    dimension = FloatDistribution(0.0, 1.0)
    found = []
    for i in range(number):
        params, value = {"x": (i % 50) / 50}, 0.001 * i if i % 50 == 7 else 100.0 + i
        values = {"intermediate_values": {1: value}} if i % 3 else {"values": [value]}
        state = TrialState.PRUNED if i % 3 else TrialState.COMPLETE
        found.append(create_trial(state=state, params=params, distributions={"x": dimension}, **values))
    return found


def test_of_many_trials_a_sampler_is_shown_the_best_and_the_latest():
    storage = ShownTrials()
    study = optuna.create_study(storage=storage)
    for trial in ended_trials(3000):
        study.add_trial(trial)
    running = [study.ask().number for _ in range(200)]
    shown = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    assert len(shown) <= MOST
    assert {*running[-LATEST_RUNNING:]} <= shown.keys()
    assert {*range(3000 - LATEST_ENDED, 3000)} <= shown.keys()
    complete = sorted(
        (number for number in range(3000) if number % 3 == 0),
        key=lambda number: 0.001 * number if number % 50 == 7 else 100.0 + number,
    )
    assert {*complete[:BEST]} <= shown.keys()


def test_what_a_sampler_is_shown_does_not_depend_on_the_order_in_which_trials_ended():
    def shown(order: list[int]) -> list[int]:
        storage = ShownTrials()
        study = optuna.create_study(storage=storage)
        ids = [study.ask()._trial_id for _ in range(600)]
        for place in order:
            storage.set_trial_intermediate_value(ids[place], 1, float(place * 7 % 600))
            storage.set_trial_state_values(ids[place], TrialState.PRUNED)
            study.get_trials(deepcopy=False)
        return [trial.number for trial in study.get_trials(deepcopy=False)]

    assert shown([*range(500)]) == shown([*reversed(range(500))])


def test_a_draw_after_thousands_of_trials_takes_no_longer_than_after_hundreds():
    def seconds(trials: int) -> float:
        storage = ShownTrials()
        study = optuna.create_study(storage=storage, sampler=_sampler("tpe", 0))
        for trial in ended_trials(trials):
            study.add_trial(trial)
        found = []
        for _ in range(5):
            start = time.process_time()
            study.ask().suggest_float("x", 0.0, 1.0)
            found.append(time.process_time() - start)
        return min(found)

    assert seconds(3000) < 3 * seconds(300)
