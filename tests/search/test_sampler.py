"""What a search draws, and what it learns from: its own trials and those of earlier searches."""

from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from fxcore.models import FAMILIES
from fxcore.training import Cost, Report
from search.config import SearchSpec
from search.record import Record
from search.sampler import Sampler
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
        metrics = {"mr_stft": value, "log_mel_share": 0.5}
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
        start.known.append((row.config, [row.metrics["mr_stft"]]))
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
