"""Conditions on trials: what they mean, and what is said to those that cannot be read."""

import pytest

from fxcore.errors import SpecError
from search.where import parse_where

TRIALS = {
    1: {"family": "lstm", "bits": 12, "esr": 0.01, "receptive_field": None, "gated": None},
    2: {"family": "lstm", "bits": None, "esr": 0.2, "receptive_field": None, "gated": None},
    3: {"family": "wavenet", "bits": 16, "esr": 0.05, "receptive_field": 256, "gated": True},
}
NAMES = list(TRIALS[1])


def chosen(text: str) -> list[int]:
    condition = parse_where(text, NAMES)
    return [number for number, trial in TRIALS.items() if condition(trial)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("family=lstm", [1, 2]),
        ("family=lstm and bits>=12", [1]),
        ("family = lstm or bits >= 12", [1, 2, 3]),
        ("not family=lstm", [3]),
        ("family!=lstm", [3]),
        ("esr<=5e-2", [1, 3]),
        ("esr<0.05", [1]),
        ("family=wavenet or family=lstm and esr>.1", [2, 3]),  # and binds more tightly
        ("(family=wavenet or family=lstm) and esr>.1", [2]),
        ("receptive_field>1", [3]),
        ("receptive_field!=7", [3]),  # what has no value meets no comparison
        ("gated=true", [3]),
        ("bits==12.0", [1]),
        ("family='lstm'", [1, 2]),
        ('family="or"', []),
        ("not not (bits=16)", [3]),
    ],
)
def test_a_condition_chooses(text, numbers):
    assert chosen(text) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends where a name should be"),
        ("famly=lstm", "unknown name 'famly' in a condition; did you mean 'family'?"),
        ("family", "ends where a comparison after 'family' should be"),
        ("family lstm", "'family' needs one of .* got 'lstm'"),
        ("family=", "ends where a value after 'family=' should be"),
        ("family=and bits=3", "needs a value after 'family='; got 'and'"),
        ("family=lstm bits=3", "unexpected 'bits'"),
        ("(family=lstm", "a bracket is not closed"),
        ("family=lstm)", r"unexpected '\)'"),
        ("family='lstm", 'cannot be read from "\'lstm" on'),
        ("__import__('os')=1", "unknown name '__import__'"),
        ("(" * 2000, "at most 200 characters; got 2000"),
    ],
)
def test_what_is_no_condition_is_said_in_one_line(text, message):
    with pytest.raises(SpecError, match=message):
        parse_where(text, NAMES)


def test_the_deepest_condition_that_fits_is_read():
    assert chosen("(" * 90 + "bits=12" + ")" * 90) == [1]
