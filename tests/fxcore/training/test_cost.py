import pytest
import torch

from fxcore.models import FAMILIES
from fxcore.training import Cost, measure_cost


def cost_of(seconds: float = 0.05, **settings: object) -> Cost:
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    return measure_cost(model, 44_100, seconds=seconds)


def test_parameters_and_receptive_field_are_the_models() -> None:
    cost = cost_of(kind="conv", layers=2, window=9, channels=4)
    assert cost.parameters == (1 * 4 * 3 + 4) + (4 * 4 * 3 + 4) + (4 + 1)
    assert cost.receptive_field == 9
    assert cost_of(kind="lstm", hidden=4).receptive_field is None


@pytest.mark.parametrize("kind", list(FAMILIES))
def test_every_family_has_a_speed(kind: str) -> None:
    assert 0.01 < cost_of(kind=kind, seconds=0.02).realtime_factor < 1e5


def test_a_far_larger_net_plays_far_slower() -> None:
    small, large = cost_of(kind="lstm", hidden=8), cost_of(kind="lstm", hidden=512)
    assert small.realtime_factor > 4 * large.realtime_factor


def test_the_model_is_left_as_it_was() -> None:
    model = FAMILIES.parse("lstm").build(torch.Generator().manual_seed(0))
    before = model.best_copy()
    measure_cost(model, 48_000, seconds=0.01)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
