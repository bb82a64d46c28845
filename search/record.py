"""Writing to the record of a search: what the process that drives it does, and nobody else.

Every change is one that may be made twice without harm, so that it is tried again where the database is
locked or away; and none is made by a process whose search another has taken over.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from fxcore.errors import SearchError, SpecError
from fxcore.models import FAMILIES, ModelSpec, TrainingSpec
from fxcore.training import Cost, Report
from search import tables
from search.config import SearchSpec, TrialConfig
from search.database import LOG, write
from search.lease import Lease
from search.limits import refusal
from search.sampler import Drawn, Sampler
from search.study import NOT_RUN, State, Study

T = TypeVar("T")

MAX_REDRAWS = 100  # of configurations that were tried before or cannot be built
ENDS = {"pruned": OptunaState.PRUNED, "failed": OptunaState.FAIL, "infeasible": OptunaState.FAIL}


class Record:
    """A study, open for writing by one process."""

    def __init__(self, study: Study, lease: Lease | None = None) -> None:
        """`lease` is the right to write; None where nobody else can know of the study yet."""
        self.study, self._lease = study, lease
        self.waiting: Callable[[str], None] | None = None  # told where the database does not answer
        self._reports: dict[int, list[dict[str, Any]]] = {}  # of trials that run
        self._costs: dict[int, Cost] = {}
        self._unsaved: dict[int, dict[str, Any]] = {}  # attributes that go with a trial's next change
        self._ids: dict[int, int] = {}  # of the trials that run: number -> Optuna's own
        self._identities: dict[int, str] = {}  # of all trials
        self._tried: set[str] = set()  # the same
        self._starts = 0  # of those in the study's start, how many were tried
        self._count = 0
        self._configs: dict[int, TrialConfig] = {}  # of the trials that run
        self._remarked: set[int] = set()  # trials with a reason already
        self.sampler = Sampler(self.spec.sampler, self.spec.space(), self.spec.seed)
        for values, known in study.start.known:
            self.sampler.learn(FAMILIES.parse(values["model"]), _training(values), known)
        for trial in study.drawn():
            self._take_over(trial)

    @property
    def spec(self) -> SearchSpec:
        """What was asked for."""
        return self.study.spec

    def update_spec(self, spec: SearchSpec) -> None:
        """Take over a larger (or smaller) budget."""
        self._set("spec", spec.as_dict())
        self.study.spec = spec

    def set_complete(self, complete: bool) -> None:
        """Say whether the search has ended by itself."""
        self._set("complete", complete)

    def unfinished(self) -> list[tuple[int, TrialConfig]]:
        """Trials that have not ended: at first those that were left running, to be handed out again."""
        return sorted(self._configs.items())

    def ask(self) -> tuple[int, TrialConfig]:
        """Begin a new trial: its number and configuration, different from all before it.

        Raises `SearchError` where nothing new is left, saying why.
        """
        start, problem = self.study.start, ""
        while (place := self._starts) < len(start.given) + len(start.draws):
            self._starts += 1
            with suppress(SpecError):  # what cannot be had is left out
                if place < len(start.given):
                    model = FAMILIES.parse(start.given[place])
                    return self._begin(model, model.recipe(self.spec.resources.gpus_per_trial > 0), None)
                return self._draw(0, start.draws[place - len(start.given)])
        for attempt in range(MAX_REDRAWS):
            try:
                return self._draw(attempt)
            except SpecError as error:
                problem = str(error)
        raise SearchError(f"no new configuration in {MAX_REDRAWS} draws ({problem}); widen the ranges")

    def record_cost(self, number: int, cost: Cost) -> None:
        """What the trial's model costs to play; it is written with the report that follows."""
        if self._costs.get(number) != cost:
            self._costs[number] = cost
            self._unsaved[number] = {"cost": cost._asdict()}

    def record(self, number: int, report: Report) -> bool:
        """Add a report; False for one that is there already.

        A trial that is resumed from before its last report replaces what follows: what counts is what its
        checkpoint goes on from.
        """
        held, values = self._reports[number], report._asdict()
        if values in held:
            return False
        kept = [each for each in held if each["index"] < report.index]
        self._reports[number] = [*kept, values]
        rating, trial_id = report.rating(self.spec.objective), self._ids[number]
        changes = [*self._attributes(number, reports=self._reports[number])]
        if self.spec.sampler != "nsga2":  # Optuna takes no intermediate values of two objectives
            changes += tables.intermediate_value(self.study.engine, trial_id, report.index, rating)
        self._carry_out(changes)
        self.sampler.report(number, report.index, rating)
        return True

    def remark(self, number: int, reason: str | None) -> None:
        """Say what keeps a trial that has not ended."""
        self._carry_out(self._attributes(number, reason=reason))
        self._remarked.add(number)

    def finish(self, number: int, state: State, reason: str | None = None) -> None:
        """Close a trial in a final state; a collapsed one gets the metric's worst value to learn from."""
        told = {"reason": reason} if reason or number in self._remarked else {}
        self._end(number, state, self._attributes(number, state=state, **told))

    def note(self, text: str) -> None:
        """Add a line to the search's log."""
        self._carry_out([sa.insert(LOG).values(search=self.study.name, at=time.time(), text=text)])

    def identity(self, number: int) -> str:
        """A trial's identity as it was when it was drawn."""
        return self._identities[number]

    def last_value(self, number: int) -> float | None:
        """The best objective of a running trial; None before its first report."""
        reports = self._reports[number]
        return Report(**reports[-1]).best[self.spec.objective] if reports else None

    def reports_since_best(self, number: int) -> int:
        """How many reports of a running trial came after its best."""
        reports = self._reports[number]
        return sum(report["step"] > reports[-1]["best_step"] for report in reports)

    def _draw(self, attempt: int, values: Any = None) -> tuple[int, TrialConfig]:
        drawn = self.sampler.draw(self._count, attempt, values)
        try:
            return self._begin(drawn.model, drawn.training, drawn)
        except SpecError:
            self.sampler.drop(drawn)
            raise

    def _begin(
        self, model: ModelSpec, training: TrainingSpec, drawn: Drawn | None
    ) -> tuple[int, TrialConfig]:
        """Write down a new trial; raises `SpecError` for one that was tried before or is too dear."""
        if problem := refusal(model, self.spec.limits, self.study.sample_rate):
            raise SpecError(problem)
        spec = self.spec
        config = TrialConfig(
            model=model,
            training=training,
            budget=spec.budget.trial,
            objective=spec.objective,
            seed=spec.seed,
        )
        identity = config.identity(self.study.store_digest)
        if identity in self._tried:
            raise SpecError("all of them were tried before")
        found = drawn.trial if drawn else None
        template = create_trial(
            state=OptunaState.RUNNING,
            params=found.params if found else {},
            distributions=found.distributions if found else {},
            system_attrs=found.system_attrs if found else {},
            user_attrs={"config": config.as_dict(), "identity": identity, "start": self._starts},
        )
        engine, study_id, number = self.study.engine, self.study.study_id, self._count
        self._ids[number] = self._act(lambda: tables.begin(engine, study_id, number, template))
        self._reports[number], self._count = [], number + 1
        self._know(number, identity)
        self._configs[number] = config
        if drawn:
            self.sampler.begin(number, drawn)
        return number, config

    def _know(self, number: int, identity: str) -> None:
        self._identities[number] = identity
        self._tried.add(identity)

    def _take_over(self, trial: FrozenTrial) -> None:
        """Know a trial that the record holds already."""
        attributes, number = trial.user_attrs, trial.number
        self._count = number + 1
        if "config" not in attributes:
            return
        self._know(number, attributes["identity"])
        self._starts = max(self._starts, attributes.get("start", 0))
        self.sampler.add(number, trial)
        if trial.state == OptunaState.RUNNING:
            self._ids[number], self._reports[number] = trial._trial_id, attributes.get("reports", [])
            if "reason" in attributes:
                self._remarked.add(number)
            if "cost" in attributes:
                self._costs[number] = Cost(**attributes["cost"])
            if "state" in attributes:  # the process died before the last step
                self._end(number, attributes["state"])
            else:
                self._configs[number] = TrialConfig.from_dict(attributes["config"])

    def _end(self, number: int, state: State, attributes: tables.Changes = ()) -> None:
        """Close it in Optuna's own terms, too."""
        reports, trial_id = self._reports[number], self._ids[number]
        ends = OptunaState.FAIL if not reports or state in NOT_RUN else ENDS.get(state, OptunaState.COMPLETE)
        values: list[float] | None = None
        if ends != OptunaState.FAIL and (self.spec.sampler == "nsga2" or ends == OptunaState.COMPLETE):
            ends, values = OptunaState.COMPLETE, self._values(number)  # NSGA-II looks at no pruned ones
        self._carry_out([*attributes, *tables.end(self.study.engine, trial_id, ends, values or ())])
        self.sampler.finish(number, ends, values)
        for known in (self._ids, self._reports, self._costs, self._configs):
            known.pop(number, None)

    def _values(self, number: int) -> list[float]:
        """What Optuna is told: the objective; with NSGA-II, and the share of real time that playing takes."""
        quality = Report(**self._reports[number][-1]).rating(self.spec.objective)
        if self.spec.sampler != "nsga2":
            return [quality]
        cost = self._costs.get(number)
        return [quality, 1.0 / max(cost.realtime_factor, 1e-6) if cost else 1e6]

    def _set(self, key: str, value: Any) -> None:
        study_id = self.study.study_id
        self._act(lambda: self.study.storage.set_study_user_attr(study_id, key, value))

    def _attributes(self, number: int, **values: Any) -> tables.Changes:
        """Attributes of a trial, and those that waited for its next change."""
        unsaved = self._unsaved.pop(number, {})
        return tables.attributes(self.study.engine, self._ids[number], {**unsaved, **values})

    def _carry_out(self, changes: tables.Changes) -> None:
        """Make changes, all or none."""
        listed = list(changes)
        self._act(lambda: tables.carry_out(self.study.engine, listed))

    def _act(self, act: Callable[[], T]) -> T:
        """Write, if the search is still ours; raises `SearchError` where it cannot be written to."""
        if self._lease is not None:
            self._lease.check()
        return write(self.study.engine.url, act, self.waiting)


def _training(values: dict[str, Any]) -> TrainingSpec:
    return TrainingSpec.from_dict(values["training"])
