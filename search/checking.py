"""Prove a search whole: whatever was killed on the way, its record is that of an undisturbed one."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from optuna.trial import TrialState as OptunaState

from fxcore.errors import FxError
from fxcore.training import Report, evaluate, to_device
from search.attributes import attribute_of_all
from search.searches import Search
from search.study import WITHOUT_MODEL, TrialRow

OPEN = ("waiting", "running")
TOLERANCE = 1e-5  # of a metric measured again


def problems(search: Search) -> list[str]:
    """What is wrong with a search, a line each; empty where it is whole.

    Every trial is in one state, final where the search is complete; reports follow each other without gap or
    repetition; no configuration was trained twice; the best model gives the metrics that stand beside it.
    """
    return [*_of_trials(search), *_of_best(search)]


def _of_trials(search: Search) -> Iterator[str]:
    study, rows = search.study, {row.id: row for row in search.trials()}
    reports = attribute_of_all(study.engine, study.name, "reports")
    identities: Counter[str] = Counter()
    for trial in study.drawn():
        row = rows.get(trial.number)
        if row is None:
            yield f"trial {trial.number} has no configuration"
            continue
        identities[trial.user_attrs["identity"]] += 1
        if (trial.state == OptunaState.RUNNING) != (row.state in OPEN):
            yield f"trial {row.id} is {row.state} here and {trial.state.name} in Optuna's own table"
        if row.state in OPEN and search.state == "complete":
            yield f"trial {row.id} is {row.state} in a search that is complete"
        held = [Report(**values) for values in reports.get(trial.number, [])]
        yield from (f"trial {row.id}: {fault}" for fault in _of_curve(held))
        if trial.intermediate_values and trial.intermediate_values.keys() != {r.index for r in held}:
            yield f"trial {row.id}: Optuna's own table has other reports"
    yield from (f"{count} trials have the identity {name}" for name, count in identities.items() if count > 1)


def _of_curve(reports: list[Report]) -> Iterator[str]:
    indices = [report.index for report in reports]
    if len(indices) > 1 and indices != list(range(1, len(indices) + 1)):
        yield f"its reports are numbered {indices}"
    for before, after in pairwise(reports):
        if after.step < before.step or after.compute_seconds < before.compute_seconds:
            yield f"report {after.index} goes back behind report {before.index}"


def _of_best(search: Search) -> Iterator[str]:
    best = next((row for row in search.trials() if row.metrics and row.state not in WITHOUT_MODEL), None)
    if best is None:
        return
    try:
        yield from _of_model(search, best)
    except FxError as error:
        yield f"trial {best.id}, the best: {error}"


def _of_model(search: Search, row: TrialRow) -> Iterator[str]:
    playable = search.playable(row.id)
    pairs = to_device(search.recordings("validation"))
    again = evaluate(playable.model, pairs, playable.sample_rate)
    for name, value in row.metrics.items():
        if not math.isclose(again[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"trial {row.id}, the best: {name} is recorded as {value:.6g}, measured {again[name]:.6g}"
