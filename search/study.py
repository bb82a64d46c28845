"""The record of a search, as all read it: one Optuna study. What is not in it did not happen.

A trial holds its parameters, its configuration, every report (as intermediate values of the best
objective so far, and whole as an attribute) and its final state. Leaderboard, curves and resuming
all read this and nothing else. Only the process that drives the search writes to it (`search.record`).
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import optuna
import sqlalchemy as sa
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from pydantic import BaseModel

from fxcore.errors import SearchError, SpecError
from fxcore.metrics import METRICS
from fxcore.models import ModelSpec
from fxcore.training import Report
from search.attributes import trial_attribute, trial_attributes
from search.config import SearchSpec, TrialConfig
from search.database import LOG, cause, connect, patiently, sqlite, where
from search.space import Value

State: TypeAlias = Literal[
    "waiting", "running", "complete", "pruned", "failed", "infeasible", "diverged", "collapsed"
]

WITHOUT_MODEL: tuple[State, ...] = ("diverged", "collapsed")  # they reported, but gave nothing to play
NOT_RUN: tuple[State, ...] = ("failed", "infeasible")  # they ended before they were done


class TrialRow(BaseModel):
    """One line of the leaderboard; metrics are those of the best report, on the validation split."""

    rank: int | None = None  # by the objective, among all; None before the first report
    id: int
    state: State
    family: str
    config: dict[str, Any]
    metrics: dict[str, float]
    best_step: int | None
    compute_seconds: float
    parameters: int | None
    receptive_field: int | None  # samples; None for a recurrent model, whose memory is unbounded
    realtime_factor: float | None
    reason: str | None = None

    def flat(self) -> dict[str, Any]:
        """Everything on one level: its own values, settings of the model and its output, metrics."""
        own = self.model_dump(exclude={"config", "metrics"})
        model = {key: value for key, value in self.config["model"].items() if key not in ("kind", "output")}
        output = dict(self.config["model"]["output"])
        kind = output.pop("kind")
        training = self.config.get("training", {})
        return {**own, **model, "output": kind, **output, **training, **self.metrics}


class Start(BaseModel):
    """What a search begins with, kept with it so that it is resumed as it was begun."""

    given: list[dict[str, Any]] = []  # models tried first, beyond what the budget says and whatever the space
    draws: list[dict[str, Value]] = []  # values of the space that are tried next
    known: list[
        tuple[dict[str, Any], list[float]]
    ] = []  # configurations of other searches, with their values

    @classmethod
    def of(cls, spec: SearchSpec, given: Iterable[ModelSpec] = ()) -> Self:
        """Models given, then the starts of each family."""
        return cls(given=[model.as_dict() for model in given], draws=spec.space().first_draws())


class Study:
    """One search's trials, in a database."""

    def __init__(self, storage: optuna.storages.RDBStorage, name: str) -> None:
        """Raises `KeyError` and `SpecError` where the database holds no such search; `open` is for use."""
        self.storage, self.name = storage, name
        self.study_id = storage.get_study_id_from_name(name)
        attributes = storage.get_study_user_attrs(self.study_id)
        self.spec = SearchSpec.from_dict(attributes["spec"])
        self.store_digest: str = attributes["store_digest"]
        self.sample_rate: int = attributes["sample_rate"]
        self.start = Start.model_validate(attributes.get("start", {}))

    @classmethod
    def create(
        cls,
        place: sa.URL | Path,
        spec: SearchSpec,
        store_digest: str,
        sample_rate: int,
        start: Start | None = None,
    ) -> "Study":
        """A new study in an SQLite file, whole or not at all, or in a database that many use."""
        start = start or Start.of(spec)
        directions = [StudyDirection.MINIMIZE] * (2 if spec.sampler == "nsga2" else 1)
        attributes = {
            "spec": spec.as_dict(),
            "store_digest": store_digest,
            "sample_rate": sample_rate,
            "complete": False,
            "start": start.model_dump(mode="json"),  # the last: a study that has it is whole
        }
        url = _url(place)
        path = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
        part = None if path is None else path.with_suffix(f".{os.getpid()}.part")
        if part is not None:
            part.unlink(missing_ok=True)
        storage = connect(url if part is None else sqlite(part))
        for study in storage.get_all_studies():
            if study.study_name == spec.name:
                if "start" in study.user_attrs:
                    raise SearchError(f"{where(url)} holds a search '{spec.name}' already")
                storage.delete_study(study._study_id)  # half made, by a process that died at it
        study_id = storage.create_new_study(directions, spec.name)
        for key, value in attributes.items():
            storage.set_study_user_attr(study_id, key, value)
        if part is not None and path is not None:
            with suppress(FileExistsError):  # another process was faster: that one's counts
                os.link(part, path)
            part.unlink()
        return cls.open(url, spec.name)

    @classmethod
    def open(cls, place: sa.URL | Path, name: str) -> "Study":
        """The study in a database; raises `SearchError` where it is not there."""
        url = _url(place)
        storage = connect(url)
        try:
            return cls(storage, name)
        except (
            KeyError,
            SpecError,
            optuna.exceptions.StorageInternalError,
            sa.exc.DatabaseError,
        ) as error:
            raise SearchError(f"{where(url)} does not hold the search '{name}': {cause(error)}") from None

    @property
    def engine(self) -> sa.Engine:
        """The connection to its database."""
        return self.storage.engine

    @property
    def attributes(self) -> dict[str, Any]:
        """What is known of the search as a whole."""
        return patiently(lambda: self.storage.get_study_user_attrs(self.study_id))

    @property
    def complete(self) -> bool:
        """Whether the search ended by itself."""
        return bool(self.attributes["complete"])

    @property
    def trials_wanted(self) -> int:
        """What the budget says, and the models given beyond it."""
        return self.spec.budget.trials + len(self.start.given)

    def reports(self, number: int) -> list[Report]:
        """All reports of a trial, in order."""
        held = trial_attribute(self.engine, self.name, number, "reports")
        return [Report(**report) for report in held or []]

    def config(self, number: int) -> TrialConfig:
        """A trial's configuration; raises `SearchError` where there is no such trial."""
        config = trial_attribute(self.engine, self.name, number, "config")
        if config is not None:
            return TrialConfig.from_dict(config)
        ids = ", ".join(str(row.id) for row in self.board()[:8])
        raise SearchError(f"search '{self.name}' has no trial {number}; its best are {ids or 'none yet'}")

    def identity(self, number: int) -> str:
        """A trial's identity as it was when it was drawn, under which its checkpoints lie."""
        return str(trial_attribute(self.engine, self.name, number, "identity"))

    def drawn(self) -> list[FrozenTrial]:
        """Optuna's own trials, with the values that were drawn and their ranges."""
        return patiently(lambda: self.storage.get_all_trials(self.study_id, deepcopy=False))

    def ended(self, number: int) -> datetime | None:
        """When a trial ended; None where it has not."""
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)
        return self.storage.get_trial(trial_id).datetime_complete

    def test_metrics(self, number: int) -> dict[str, float] | None:
        """What `record_test` kept, if it did."""
        return self.attributes.get(f"test:{number}")

    def record_test(self, number: int, metrics: dict[str, float]) -> None:
        """Keep the metrics of a finished trial's best weights on the test split, whoever measured them."""
        patiently(lambda: self.storage.set_study_user_attr(self.study_id, f"test:{number}", metrics))

    def board(self) -> list[TrialRow]:
        """All trials, best first; then those that collapsed, and last those without a report."""
        objective, worst = self.spec.objective, METRICS[self.spec.objective].worst

        def value(row: TrialRow) -> float:
            return worst if row.state == "collapsed" else row.metrics.get(objective, float("inf"))

        rows = [_row(number, values) for number, values in trial_attributes(self.engine, self.name).items()]
        rows.sort(key=lambda row: (value(row), row.id))
        for rank, row in enumerate(rows, 1):
            row.rank = rank if row.metrics else None
        return rows

    def log(self) -> list[tuple[datetime, str]]:
        """What happened so far: when, and what."""
        query = sa.select(LOG.c.at, LOG.c.text).where(LOG.c.search == self.name).order_by(LOG.c.id)

        def read() -> Sequence[Any]:
            with self.engine.connect() as connection:
                return connection.execute(query).all()

        return [(datetime.fromtimestamp(at), text) for at, text in patiently(read)]


def names_in(url: sa.URL) -> list[str]:
    """The searches that a database holds."""
    return sorted(study.study_name for study in connect(url).get_all_studies())


def _url(place: sa.URL | Path) -> sa.URL:
    return sqlite(place) if isinstance(place, Path) else place


def _row(number: int, attributes: dict[str, Any]) -> TrialRow:
    config, cost = attributes["config"], attributes.get("cost", {})
    last = attributes.get("reports")
    return TrialRow(
        id=number,
        state=attributes.get("state", "running" if last else "waiting"),
        family=config["model"]["kind"],
        config=config,
        metrics=last["best"] if last else {},
        best_step=last["best_step"] if last else None,
        compute_seconds=last["compute_seconds"] if last else 0.0,
        parameters=cost.get("parameters"),
        receptive_field=cost.get("receptive_field"),
        realtime_factor=cost.get("realtime_factor"),
        reason=attributes.get("reason"),
    )
