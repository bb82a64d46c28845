"""What a search draws next, learnt from its trials so far: Optuna's samplers over a study in memory.

The record (`search.study`) may hold ten thousand trials on a server; samplers look at all of them for each
draw. So they look at a copy in memory, which is made anew from the record when a search is resumed. A draw
depends on the search's seed, the trial's number and what is known by then, and on nothing else.
"""

import random
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from fxcore.errors import SpecError
from fxcore.models import ModelSpec, TrainingSpec
from search.config import SamplerKind
from search.shown import ShownTrials
from search.space import Choice, Dimension, SearchSpace, Value

GUIDED_ATTEMPTS = 10  # then draws are random: a sampler that has settled may repeat itself for ever
POPULATION = 20  # of NSGA-II: searches have tens to thousands of trials, its own default is for more


class Drawn(NamedTuple):
    """A configuration, and the trial in memory that it is, which has no number of the record yet."""

    model: ModelSpec
    training: TrainingSpec
    study: optuna.Study
    trial: FrozenTrial


class Sampler:
    """Draws from a space and learns what came of it."""

    def __init__(self, kind: SamplerKind, space: SearchSpace, seed: int) -> None:
        self.kind, self.space, self.seed = kind, space, seed
        self._directions = [StudyDirection.MINIMIZE] * (2 if kind == "nsga2" else 1)
        self._studies: dict[str, optuna.Study] = {}
        self._places: dict[int, tuple[optuna.Study, int]] = {}  # of the record's trials, by number

    def draw(self, number: int, attempt: int = 0, values: Mapping[str, Value] | None = None) -> Drawn:
        """What trial `number` of the record is to be; `attempt` counts draws that came to nothing.

        `values` fixes what they name. Raises `SpecError` where the values drawn do not go together.
        """
        seed = self.seed + number + 1_000_003 * attempt
        fixed = dict(values or {})
        if self.kind == "nsga2" and "family" not in fixed:
            fixed["family"] = random.Random(seed).choice(list(self.space.families))
        study = self._study_of(str(fixed.get("family")))
        study.sampler = _sampler(self.kind if attempt < GUIDED_ATTEMPTS else "random", seed)
        if fixed:
            study.enqueue_trial(fixed)
        trial = study.ask()
        try:
            model, training = self.space.draw(partial(_suggest, trial))
        except SpecError:
            self._forget(study, trial._trial_id)
            raise
        return Drawn(model, training, study, study._storage.get_trial(trial._trial_id))

    def drop(self, drawn: Drawn) -> None:
        """Forget a draw that came to nothing."""
        self._forget(drawn.study, drawn.trial._trial_id)

    def begin(self, number: int, drawn: Drawn) -> None:
        """A draw has become trial `number`."""
        self._places[number] = drawn.study, drawn.trial._trial_id

    def add(self, number: int, trial: FrozenTrial) -> None:
        """Take over a trial of the record, as it is."""
        if trial.params:
            study = self._study_of(str(trial.params.get("family")))
            trial_id = study._storage.create_new_trial(study._study_id, _without_attributes(trial))
            self._places[number] = study, trial_id

    def learn(self, model: ModelSpec, training: TrainingSpec, values: Sequence[float]) -> bool:
        """Know a result from elsewhere; False where the space does not hold it."""
        drawn = self.space.values_of(model, training)
        if drawn is None:
            return False
        params = {name: value for name, (value, _) in drawn.items()}
        distributions = {name: _distribution(dimension) for name, (_, dimension) in drawn.items()}
        self._study_of(model.kind).add_trial(
            create_trial(values=list(values), params=params, distributions=distributions)
        )
        return True

    def report(self, number: int, index: int, value: float) -> None:
        """The best objective of a running trial."""
        if number in self._places and self.kind != "nsga2":
            study, trial_id = self._places[number]
            study._storage.set_trial_intermediate_value(trial_id, index, value)

    def finish(self, number: int, state: OptunaState, values: Sequence[float] | None) -> None:
        """A trial has ended."""
        if number in self._places:
            study, trial_id = self._places.pop(number)
            study._storage.set_trial_state_values(trial_id, state, values)

    def _study_of(self, family: str) -> optuna.Study:
        """Where a family's trials are: NSGA-II crosses only what all trials of a study have."""
        key = family if self.kind == "nsga2" else ""
        if key not in self._studies:
            storage = ShownTrials() if self.kind == "tpe" else None
            self._studies[key] = optuna.create_study(storage=storage, directions=self._directions)
        return self._studies[key]

    def _forget(self, study: optuna.Study, trial_id: int) -> None:
        study._storage.set_trial_state_values(trial_id, OptunaState.FAIL)


def _without_attributes(trial: FrozenTrial) -> FrozenTrial:
    """What samplers look at."""
    return create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
        intermediate_values=trial.intermediate_values,
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.integral:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _suggest(trial: optuna.Trial, name: str, dimension: Dimension) -> Value:
    if isinstance(dimension, Choice):
        chosen = trial.suggest_categorical(name, dimension.values)
        return dimension.nearest(chosen)
    if dimension.integral:
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)


def _sampler(kind: SamplerKind, seed: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimators, each family's values modelled jointly (Falkner et al., 2018);
    independent draws; or NSGA-II (Deb et al., 2002)."""
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if kind == "nsga2":
        return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
