"""Importance of settings: it finds what matters, and is silent where too little is known."""

import math
import random

import optuna
import pytest

from search.importance import importances


def trials(count: int) -> list[optuna.trial.FrozenTrial]:
    """Trials of an lstm and a conv; only the lstm's hidden size matters."""
    rng = random.Random(0)
    families = optuna.distributions.CategoricalDistribution(("lstm", "conv"))
    found = []
    for number in range(count):
        family = "lstm" if number % 2 else "conv"
        params = {"family": family, f"{family}.layers": rng.randint(1, 8)}
        distributions = {"family": families, f"{family}.layers": optuna.distributions.IntDistribution(1, 8)}
        if family == "lstm":
            params["lstm.hidden"] = rng.randint(4, 64)
            distributions["lstm.hidden"] = optuna.distributions.IntDistribution(4, 64, log=True)
        trial = optuna.trial.create_trial(params=params, distributions=distributions, value=0.0)
        trial.number = number
        found.append(trial)
    return found


def objectives(found: list[optuna.trial.FrozenTrial]) -> dict[int, float]:
    return {
        t.number: math.exp(-t.params["lstm.hidden"] / 32) if "lstm.hidden" in t.params else 1.0 for t in found
    }


def test_what_matters_has_the_largest_share_and_shares_add_up():
    found = trials(40)
    shares = importances(found, objectives(found))
    assert set(shares) == {"all", "lstm"}  # of the conv, nothing matters
    assert next(iter(shares["lstm"])) == "hidden"
    assert shares["lstm"]["hidden"] > 0.8
    assert sum(shares["lstm"].values()) == pytest.approx(1.0)
    assert list(shares["all"]) == ["family"]
    assert importances(found, objectives(found)) == shares


@pytest.mark.parametrize("count", [0, 1, 7])
def test_few_trials_say_nothing(count):
    found = trials(count)
    assert importances(found, objectives(found)) == {}


def test_trials_without_an_objective_or_with_values_that_were_given_do_not_disturb():
    found = trials(40)
    values = objectives(found)
    given = optuna.trial.create_trial(value=0.0)
    given.number = 99
    shares = importances([*found, given], {**values, 99: 0.5})
    assert shares["lstm"] == importances(found, values)["lstm"]
    assert importances(found, {}) == {}
