"""Which settings matter: shares of the objective's variance, by functional ANOVA on random forests.

Hutter et al., "An efficient approach for assessing hyperparameter importance" (2014), as Optuna computes it,
on the logarithm of the objective. Settings depend on the family, so each family is judged by its own trials;
which family and which output it is, by all.
"""

import math
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial

LEAST_TRIALS = 8  # of which a forest says anything
MOST_TRIALS = 500  # that a forest takes seconds for
TREES = 32
SHARED = ("family", "output")  # what every trial draws

Shares = dict[str, float]


def importances(trials: Sequence[FrozenTrial], objectives: Mapping[int, float]) -> dict[str, Shares]:
    """Shares by setting, largest first: of `all` trials, then of each family with enough of them.

    `objectives` are the best so far, by trial number; trials without one do not count.
    """
    drawn = [t for t in trials if "family" in t.params]  # others were given, such as the baseline
    told = [t for t in drawn if objectives.get(t.number, 0.0) > 0.0][:MOST_TRIALS]
    families = {str(t.params["family"]) for t in told}
    groups = {"all": _shares(told, objectives, SHARED)}
    for family in sorted(families):
        of_family = [t for t in told if t.params.get("family") == family]
        names = sorted({name for t in of_family for name in t.params if name != "family"})
        shares = _shares(of_family, objectives, names)
        groups[family] = {name.removeprefix(f"{family}."): share for name, share in shares.items()}
    return {group: shares for group, shares in groups.items() if shares}


def _shares(trials: Sequence[FrozenTrial], objectives: Mapping[int, float], names: Sequence[str]) -> Shares:
    """Nothing where there are too few trials, or where nothing was varied or mattered."""
    common = [name for name in names if all(name in t.params for t in trials)]
    varied = [name for name in common if len({str(t.params[name]) for t in trials}) > 1]
    values = {t.number: math.log(objectives[t.number]) for t in trials}
    if len(trials) < LEAST_TRIALS or not varied or len(set(values.values())) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study()  # in memory: the search's own is not written to
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: t.params[name] for name in varied},
                    distributions={name: t.distributions[name] for name in varied},
                    value=values[t.number],
                )
                for t in trials
            ]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
