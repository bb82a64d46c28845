"""The record of a search: one Optuna study. What is not in it did not happen.

A trial holds its parameters, its configuration, every report (as intermediate values of the best
objective so far, and whole as an attribute) and its final state. Leaderboard, curves and resuming
all read this and nothing else. Only the process that drives the search writes to it.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import optuna
import sqlalchemy.exc
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from pydantic import BaseModel

from fxcore.errors import SearchError, SpecError
from fxcore.metrics import METRICS
from fxcore.models import FAMILIES, ModelSpec, TrainingSpec
from fxcore.training import Cost, Report
from search.attributes import trial_attribute, trial_attributes
from search.config import SearchSpec, TrialConfig
from search.space import Choice, Dimension, Value

State: TypeAlias = Literal["waiting", "running", "complete", "pruned", "failed", "diverged", "collapsed"]

WITHOUT_MODEL: tuple[State, ...] = ("diverged", "collapsed")  # they reported, but gave nothing to play
MAX_REDRAWS = 20  # of configurations that were tried before or cannot be built


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


class Study:
    """One search's trials, in a database at `url` (SQLite: one file)."""

    def __init__(self, study: optuna.Study, path: Path) -> None:
        self._study, self.path = study, path
        self.spec = SearchSpec.from_dict(study.user_attrs["spec"])
        self.store_digest: str = study.user_attrs["store_digest"]
        self.sample_rate: int = study.user_attrs["sample_rate"]

    @classmethod
    def create(
        cls,
        path: Path,
        spec: SearchSpec,
        store_digest: str,
        sample_rate: int,
        first: Iterable[ModelSpec] = (),
    ) -> "Study":
        """A new study in the SQLite file `path`, whole or not at all.

        The models of `first` are tried first, beyond what the budget says and whatever the space.
        """
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        study = optuna.create_study(storage=_storage(part), study_name=spec.name, direction="minimize")
        study.set_user_attr("spec", spec.as_dict())
        study.set_user_attr("store_digest", store_digest)
        study.set_user_attr("sample_rate", sample_rate)
        study.set_user_attr("complete", False)
        for model in first:
            study.enqueue_trial({}, user_attrs={"given": model.as_dict()})
        study.set_user_attr("given", len(study.get_trials(deepcopy=False)))
        for values in spec.space().first_draws():
            study.enqueue_trial(values)
        part.replace(path)
        return cls.open(path, spec.name)

    @classmethod
    def open(cls, path: Path, name: str) -> "Study":
        """The study in `path`; raises `SearchError` where it is none."""
        try:
            return cls(optuna.load_study(study_name=name, storage=_storage(path)), path)
        except (
            KeyError,
            SpecError,
            optuna.exceptions.StorageInternalError,
            sqlalchemy.exc.DatabaseError,
        ) as error:
            cause = str(error).splitlines()[0]
            raise SearchError(f"{path} does not hold the search '{name}': {cause}") from None

    @property
    def complete(self) -> bool:
        """Whether the search ended by itself."""
        return bool(self._study.user_attrs["complete"])

    @complete.setter
    def complete(self, complete: bool) -> None:
        self._study.set_user_attr("complete", complete)

    def update_spec(self, spec: SearchSpec) -> None:
        """Take over a larger (or smaller) budget."""
        self._study.set_user_attr("spec", spec.as_dict())
        self.spec = spec

    @property
    def trials_wanted(self) -> int:
        """What the budget says, and the models given beyond it."""
        return self.spec.budget.trials + int(self._study.user_attrs.get("given", 0))

    def unfinished(self) -> list[tuple[int, TrialConfig]]:
        """Trials that were left running, to be handed out again before new ones."""
        running = [t for t in self._trials() if t.state == OptunaState.RUNNING]
        return [(t.number, TrialConfig.from_dict(t.user_attrs["config"])) for t in running]

    def ask(self) -> tuple[int, TrialConfig]:
        """Draw a new trial: its number and configuration, different from all before it.

        The sampler is seeded with the search's seed and the trial's number, so that a resumed search
        draws what an uninterrupted one would. Raises `SearchError` where nothing new is left.
        """
        known = {t.user_attrs["identity"] for t in self._trials()}
        problem = ""
        for _ in range(MAX_REDRAWS):
            self._study.sampler = _sampler(self.spec.seed + len(self._study.get_trials(deepcopy=False)))
            trial = self._study.ask()
            try:
                model, training = self._draw(trial)
                config = self._configure(model, training)
            except SpecError as error:
                problem = str(error)
            else:
                if (identity := config.identity(self.store_digest)) not in known:
                    trial.set_user_attr("config", config.as_dict())
                    trial.set_user_attr("identity", identity)
                    return trial.number, config
                problem = "all of them were tried before"
            self._study.tell(trial, state=OptunaState.FAIL)  # without a configuration: on no board
        raise SearchError(f"no new configuration in {MAX_REDRAWS} draws ({problem}); widen the ranges")

    def record_cost(self, number: int, cost: Cost) -> None:
        """What the trial's model costs to play."""
        self._trial(number).set_user_attr("cost", cost._asdict())

    def record(self, number: int, report: Report) -> bool:
        """Add a report; False for one that is there already (of a trial resumed from before it)."""
        trial = self._trial(number)
        reports = trial.user_attrs.get("reports", [])
        if reports and reports[-1]["index"] >= report.index:
            return False
        trial.set_user_attr("reports", [*reports, report._asdict()])
        trial.report(report.rating(self.spec.objective), report.index)
        return True

    def finish(self, number: int, state: State, reason: str | None = None) -> None:
        """Close a trial in a final state; a collapsed one gets the metric's worst value to learn from."""
        trial = self._trial(number)
        trial.set_user_attr("state", state)
        if reason:
            trial.set_user_attr("reason", reason)
        reports = trial.user_attrs.get("reports", [])
        if state == "failed" or not reports:
            self._study.tell(number, state=OptunaState.FAIL)
        elif state == "pruned":
            self._study.tell(number, state=OptunaState.PRUNED)
        else:
            self._study.tell(number, Report(**reports[-1]).rating(self.spec.objective))

    def record_test(self, number: int, metrics: dict[str, float]) -> None:
        """The metrics of a finished trial's best weights on the test split."""
        self._study.set_user_attr(f"test:{number}", metrics)

    def reports(self, number: int) -> list[Report]:
        """All reports of a trial, in order."""
        return [Report(**report) for report in trial_attribute(self.path, number, "reports") or []]

    def config(self, number: int) -> TrialConfig:
        """A trial's configuration; raises `SearchError` where there is no such trial."""
        config = trial_attribute(self.path, number, "config")
        if config is not None:
            return TrialConfig.from_dict(config)
        ids = ", ".join(str(row.id) for row in self.board()[:8])
        raise SearchError(
            f"search '{self.spec.name}' has no trial {number}; its best are {ids or 'none yet'}"
        )

    def identity(self, number: int) -> str:
        """A trial's identity as it was when it was drawn, under which its checkpoint lies."""
        return str(trial_attribute(self.path, number, "identity"))

    def drawn(self) -> list[FrozenTrial]:
        """Optuna's own trials, with the values that were drawn and their ranges."""
        return self._trials()

    def ended(self, number: int) -> datetime | None:
        """When a trial ended; None where it has not."""
        return self._study.get_trials(deepcopy=False)[number].datetime_complete

    def test_metrics(self, number: int) -> dict[str, float] | None:
        """What `record_test` kept, if it did."""
        return self._study.user_attrs.get(f"test:{number}")

    def board(self) -> list[TrialRow]:
        """All trials, best first; then those that collapsed, and last those without a report."""
        objective, worst = self.spec.objective, METRICS[self.spec.objective].worst

        def value(row: TrialRow) -> float:
            return worst if row.state == "collapsed" else row.metrics.get(objective, float("inf"))

        rows = [_row(number, values) for number, values in trial_attributes(self.path).items()]
        rows.sort(key=lambda row: (value(row), row.id))
        for rank, row in enumerate(rows, 1):
            row.rank = rank if row.metrics else None
        return rows

    def _draw(self, trial: optuna.Trial) -> tuple[ModelSpec, TrainingSpec]:
        if given := trial.user_attrs.get("given"):
            model = FAMILIES.parse(given)
            return model, model.training
        return self.spec.space().draw(partial(_suggest, trial))

    def _configure(self, model: ModelSpec, training: TrainingSpec) -> TrialConfig:
        return TrialConfig(
            model=model,
            training=training,
            budget=self.spec.budget.trial,
            objective=self.spec.objective,
            seed=self.spec.seed,
        )

    def _trials(self) -> list[FrozenTrial]:
        """Trials that were begun: those with a configuration."""
        return [t for t in self._study.get_trials(deepcopy=False) if "config" in t.user_attrs]

    def _trial(self, number: int) -> optuna.Trial:
        """A running trial to write to, in this or in an earlier process begun."""
        return optuna.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)


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


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """While a search writes to its database `path`: raises `SearchError` where that fails."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.OperationalError) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise SearchError(
            f"{path} could not be written ({cause}); is the disk full? launching the search again resumes it"
        ) from error


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimators, each family's values modelled jointly (Falkner et al., 2018)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def _suggest(trial: optuna.Trial, name: str, dimension: Dimension) -> Value:
    if isinstance(dimension, Choice):
        chosen = trial.suggest_categorical(name, dimension.values)
        return dimension.nearest(chosen)
    if dimension.integral:
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)


def _storage(path: Path) -> str:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return f"sqlite:///{path}"
