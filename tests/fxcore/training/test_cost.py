import time

import pytest
import torch

from fxcore.models import FAMILIES, PRESETS
from fxcore.training import Cost, measure_cost, predicted_cost


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


def predicted(**settings: object) -> float:
    return predicted_cost(FAMILIES.parse(settings), 48_000).realtime_factor


@pytest.mark.parametrize(
    ("faster", "slower"),
    [
        ({"kind": "lstm", "hidden": 8}, {"kind": "lstm", "hidden": 512}),
        ({"kind": "gru", "layers": 1}, {"kind": "gru", "layers": 2}),
        ({"kind": "conv", "channels": 8}, {"kind": "conv", "channels": 64}),
        ({"kind": "wavenet", "layers": 6}, {"kind": "wavenet", "layers": 12}),
        ({"kind": "fir", "taps": 64}, {"kind": "fir", "taps": 65_536}),
        ({"kind": "hammerstein", "order": 2}, {"kind": "hammerstein", "order": 12}),
        ({"kind": "pitch_shift", "tail_samples": 256}, {"kind": "pitch_shift", "tail_samples": 48}),
        ({"kind": "lstm"}, {"kind": "lstm", "output": "softmax"}),
    ],
    ids=str,
)
def test_what_has_more_to_do_is_predicted_to_be_slower(
    faster: dict[str, object], slower: dict[str, object]
) -> None:
    assert predicted(**faster) > predicted(**slower)


def test_a_prediction_is_in_times_real_time() -> None:
    spec = FAMILIES.parse("lstm")
    at_48, at_96 = (predicted_cost(spec, rate).realtime_factor for rate in (48_000, 96_000))
    assert at_48 == pytest.approx(2 * at_96)


def test_the_largest_preset_is_predicted_without_playing_it_for_long() -> None:
    start = time.process_time()
    cost = predicted_cost(PRESETS["thesis_lstm"], 44_100)
    assert time.process_time() - start < 3.0
    assert cost.parameters > 33_000_000
    assert cost.realtime_factor < 0.1
