"""What holds for the predicted playing cost of every model family."""

import statistics
import time

import pytest
import torch

from fxcore.models import FAMILIES
from fxcore.training import Cost, measure_cost, predicted_cost

RATE = 48_000
BY_FAMILY = pytest.mark.parametrize("family", list(FAMILIES))


def predicted(family: str) -> Cost:
    return predicted_cost(FAMILIES.parse(family), RATE)


@pytest.fixture(scope="module")
def measured() -> dict[str, Cost]:
    """Of every family, the fastest of three on one thread: other work only slows it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    costs = {}
    for family in FAMILIES:
        model = FAMILIES.parse(family).build(torch.Generator().manual_seed(0)).eval()
        tries = [measure_cost(model, RATE, seconds=0.02) for _ in range(3)]
        costs[family] = max(tries, key=lambda cost: cost.realtime_factor)
    torch.set_num_threads(threads)
    return costs


@pytest.fixture(scope="module")
def machine(measured: dict[str, Cost]) -> float:
    """How much slower this machine is than the reference core."""
    return statistics.median(
        predicted(family).realtime_factor / cost.realtime_factor for family, cost in measured.items()
    )


@BY_FAMILY
def test_speed_is_within_a_factor_of_three_of_the_measured_one(
    family: str, measured: dict[str, Cost], machine: float
) -> None:
    off = predicted(family).realtime_factor / measured[family].realtime_factor / machine
    assert 1 / 3 < off < 3


@BY_FAMILY
def test_parameters_and_receptive_field_are_the_models(family: str, measured: dict[str, Cost]) -> None:
    assert predicted(family)[:2] == measured[family][:2]


@BY_FAMILY
def test_a_prediction_is_always_the_same_and_draws_no_random_numbers(family: str) -> None:
    first, before = predicted(family), torch.get_rng_state()
    assert predicted(family) == first
    assert torch.equal(torch.get_rng_state(), before)


@BY_FAMILY
def test_a_prediction_takes_a_tenth_of_a_second_at_most(family: str) -> None:
    spent = []
    for _ in range(3):
        start = time.process_time()
        predicted(family)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1
