"""Successive halving on the best objective so far."""

from itertools import count

from search.halving import Halving

numbers = count()


def decide(halving: Halving, family: str, index: int, value: float, cost: float = 0.0) -> bool:
    """Whether a trial of that value goes on: a new one each time."""
    number = next(numbers)
    halving.note(number, family, index, value, cost)
    return halving.keeps(number, family, index)


def test_the_first_three_at_a_rung_go_on_whatever_they_are():
    halving = Halving(reports=9)
    assert all(decide(halving, "lstm", 1, value) for value in (1.0, 2.0, 3.0))


def test_later_ones_go_on_only_among_the_best_third():
    halving = Halving(reports=9)
    for value in (1.0, 2.0, 3.0):
        decide(halving, "lstm", 1, value)
    assert not decide(halving, "lstm", 1, 1.5)
    assert decide(halving, "lstm", 1, 0.5)


def test_families_are_compared_among_themselves_first_and_with_all_later():
    halving = Halving(reports=9)
    for value in (0.1, 0.2, 0.3, 0.4):
        decide(halving, "lstm", 1, value)
        decide(halving, "lstm", 3, value)
    assert decide(halving, "wavenet", 1, 5.0)
    assert not decide(halving, "wavenet", 3, 5.0)


def test_between_rungs_nobody_is_stopped():
    halving = Halving(reports=9)
    for value in range(10):
        assert decide(halving, "lstm", 2, float(value))


def test_a_rebuilt_halving_decides_as_the_one_before():
    values = [3.0, 1.0, 2.0, 0.5, 4.0, 0.4]
    first, second = Halving(reports=9), Halving(reports=9)
    for value in values:
        decide(first, "lstm", 1, value)
        second.note(next(numbers), "lstm", 1, value)
    assert [decide(first, "lstm", 1, v) for v in (0.45, 2.5)] == [
        decide(second, "lstm", 1, v) for v in (0.45, 2.5)
    ]


def test_with_few_reports_there_is_one_rung():
    halving = Halving(reports=2)
    for value in (1.0, 2.0, 3.0):
        decide(halving, "lstm", 1, value)
    assert not decide(halving, "lstm", 1, 9.0)
    assert decide(halving, "lstm", 2, 9.0)


def test_where_playing_cost_counts_a_trial_is_compared_with_those_no_dearer():
    halving = Halving(reports=9)
    for value in (1.0, 2.0, 3.0, 4.0):
        decide(halving, "lstm", 1, value, cost=0.5)
    assert not decide(halving, "lstm", 1, 9.0, cost=0.5)
    assert decide(halving, "lstm", 1, 9.0, cost=0.1)


def test_a_report_made_again_takes_the_place_of_the_first():
    halving = Halving(reports=9)
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        decide(halving, "lstm", 1, value)
    halving.note(-1, "lstm", 1, 9.0)
    assert not halving.keeps(-1, "lstm", 1)
    halving.note(-1, "lstm", 1, 0.5)
    assert halving.keeps(-1, "lstm", 1)
