"""Changes to Optuna's tables, several in one transaction.

Each call of Optuna's own is a transaction, and a transaction waits for the disk: a trial of nine reports
would wait 24 times, in place of 13. Every change may be carried out twice without harm.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, cast

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy.dialects import postgresql, sqlite

from fxcore.errors import SearchError

Changes: TypeAlias = Iterable[sa.Executable]

TRIALS, ATTRIBUTES, SYSTEM_ATTRIBUTES, PARAMETERS, VALUES, INTERMEDIATE_VALUES = (
    cast(sa.Table, model.__table__)
    for model in (
        models.TrialModel,
        models.TrialUserAttributeModel,
        models.TrialSystemAttributeModel,
        models.TrialParamModel,
        models.TrialValueModel,
        models.TrialIntermediateValueModel,
    )
)


def carry_out(engine: sa.Engine, changes: Changes) -> None:
    """All of them, or none."""
    with engine.begin() as connection:
        for change in changes:
            connection.execute(change)


def attributes(engine: sa.Engine, trial_id: int, values: Mapping[str, Any]) -> Iterator[sa.Executable]:
    """Set attributes of a trial."""
    for key, value in values.items():
        yield _put(engine, ATTRIBUTES, {"trial_id": trial_id, "key": key}, {"value_json": json.dumps(value)})


def intermediate_value(engine: sa.Engine, trial_id: int, step: int, value: float) -> Iterator[sa.Executable]:
    """Set what a trial had at a step."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    values = {"intermediate_value": stored, "intermediate_value_type": kind}
    yield _put(engine, INTERMEDIATE_VALUES, {"trial_id": trial_id, "step": step}, values)


def end(
    engine: sa.Engine, trial_id: int, state: OptunaState, values: Sequence[float]
) -> Iterator[sa.Executable]:
    """Close a trial; one that is closed stays as it is."""
    for objective, value in enumerate(values):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        keys = {"trial_id": trial_id, "objective": objective}
        yield _put(engine, VALUES, keys, {"value": stored, "value_type": kind})
    still_open = sa.and_(TRIALS.c.trial_id == trial_id, TRIALS.c.state == OptunaState.RUNNING)
    yield sa.update(TRIALS).where(still_open).values(state=state, datetime_complete=datetime.now())


def begin(engine: sa.Engine, study_id: int, number: int, trial: FrozenTrial) -> int:
    """Write down a new trial that runs; its id. Raises `SearchError` where another has that number."""
    keys = {"study_id": study_id, "number": number}
    with engine.begin() as connection:
        identity = sa.and_(ATTRIBUTES.c.trial_id == TRIALS.c.trial_id, ATTRIBUTES.c.key == "identity")
        known = sa.select(TRIALS.c.trial_id, ATTRIBUTES.c.value_json).outerjoin(ATTRIBUTES, identity)
        if found := connection.execute(known.filter_by(**keys)).first():  # the answer was lost, not the trial
            if found.value_json != json.dumps(trial.user_attrs["identity"]):
                raise SearchError(f"another process began trial {number}; this one writes nothing more")
            return int(found.trial_id)
        row = {**keys, "state": OptunaState.RUNNING, "datetime_start": datetime.now()}
        trial_id = int(
            connection.execute(sa.insert(TRIALS).values(row).returning(TRIALS.c.trial_id)).scalar_one()
        )
        parameters = [
            {
                "param_name": name,
                "param_value": distribution.to_internal_repr(trial.params[name]),
                "distribution_json": distribution_to_json(distribution),
            }
            for name, distribution in trial.distributions.items()
        ]
        for table, rows in (
            (PARAMETERS, parameters),
            (ATTRIBUTES, _rows_of(trial.user_attrs)),
            (SYSTEM_ATTRIBUTES, _rows_of(trial.system_attrs)),
        ):
            if rows:
                connection.execute(sa.insert(table), [{"trial_id": trial_id, **row} for row in rows])
        return trial_id


def _rows_of(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in values.items()]


def _put(
    engine: sa.Engine, table: sa.Table, keys: Mapping[str, Any], values: Mapping[str, Any]
) -> sa.Executable:
    """A row that takes the place of one with the same keys."""
    insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    return insert(table).values({**keys, **values}).on_conflict_do_update(index_elements=[*keys], set_=values)
