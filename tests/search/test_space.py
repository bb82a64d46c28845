"""The search space: what it accepts, what it refuses, what it draws."""

import numpy as np
import pytest
import torch

from fxcore.errors import SpecError
from fxcore.export import formats_for
from search.space import Choice, Dimension, Numbers, SearchSpace, Value, parse_dimension

FAMILIES = {
    "conv": {"layers": [2, 8], "window": [64, 4096], "channels": 8},
    "lstm": {"hidden": [8, 64]},
    "wavenet": {"layers": [6, 14], "window": [256, 8192], "kernel": [2, 5], "gated": [True, False]},
}
OUTPUT = {"kind": ["regression", "mixture", "softmax"], "bits": [8, 16]}


def random_suggest(seed: int):
    rng = np.random.default_rng(seed)

    def suggest(_name: str, dimension: Dimension) -> Value:
        if isinstance(dimension, Choice):
            return dimension.values[rng.integers(len(dimension.values))]
        if dimension.integral:
            return int(rng.integers(dimension.low, dimension.high + 1))
        return float(rng.uniform(dimension.low, dimension.high))

    return suggest


@pytest.mark.parametrize(
    ("raw", "dimension"),
    [
        (7, Choice((7,))),
        ([7], Choice((7,))),
        ([2, 8], Numbers(2, 8)),
        ([3, 3], Choice((3,))),
        ([1, 2, 4], Choice((1, 2, 4))),
        (["a", "b"], Choice(("a", "b"))),
        ([True, False], Choice((True, False))),
    ],
)
def test_dimension_is_a_value_a_range_or_choices(raw, dimension):
    assert parse_dimension(raw) == dimension


def test_range_that_spans_a_factor_of_eight_is_logarithmic():
    assert Numbers(8, 64).log
    assert not Numbers(8, 63).log
    assert not Numbers(0, 64).log


def test_every_draw_lies_in_the_space_and_reaches_all_families_and_outputs():
    space = SearchSpace(FAMILIES, OUTPUT, {"learning_rate": [0.001, 0.01]})
    models = [space.draw(random_suggest(seed)) for seed in range(200)]
    assert {m.kind for m, _ in models} == set(FAMILIES)
    assert {m.output.kind for m, _ in models} == set(OUTPUT["kind"])
    for model, training in models:
        values = model.as_dict()
        for name, raw in FAMILIES[model.kind].items():
            choices = raw if isinstance(raw, list) else [raw, raw]
            assert values[name] in choices or choices[0] <= values[name] <= choices[-1]
        assert 0.001 <= training.learning_rate <= 0.01


def test_softmax_depth_is_narrowed_to_what_softmax_can_hold():
    space = SearchSpace({"lstm": {}}, OUTPUT, {})
    assert space.outputs["softmax"]["bits"] == Numbers(8, 10)
    assert space.outputs["mixture"]["bits"] == Numbers(8, 16)
    assert "bits" not in space.outputs["regression"]


def test_only_the_dimensions_of_the_drawn_family_are_asked_for():
    asked: list[str] = []
    suggest = random_suggest(0)
    space = SearchSpace({"lstm": {"hidden": [8, 64]}}, {"kind": "regression"}, {})
    space.draw(lambda name, dimension: asked.append(name) or suggest(name, dimension))
    assert asked == ["family", "lstm.hidden", "output"]


def test_first_draws_are_each_familys_defaults_moved_into_the_space():
    space = SearchSpace({"lstm": {"hidden": [64, 128]}, "conv": {"layers": [1, 3]}}, OUTPUT, {})
    first = space.first_draws()
    assert first[0] == {"family": "lstm", "output": "regression", "lstm.hidden": 64}
    assert first[1] == {"family": "conv", "output": "regression", "conv.layers": 3}
    assert len(first) == 2


def test_a_family_is_started_in_other_ways_after_the_defaults_of_all():
    space = SearchSpace({"lstm": {"tail_taps": [0, 512, 1024]}, "conv": None}, {}, {})
    first = space.first_draws()
    assert [values["family"] for values in first] == ["lstm", "conv", "lstm"]
    assert [first[0]["lstm.tail_taps"], first[2]["lstm.tail_taps"]] == [0, 1024]


@pytest.mark.parametrize(
    ("families", "output", "message", "path"),
    [
        ({}, {}, "at least one family", ("families",)),
        ({"lsmt": {}}, {}, "did you mean 'lstm'", ("families", "lsmt")),
        ({"lstm": {"hiden": 8}}, {}, "did you mean 'hidden'", ("families", "lstm", "hiden")),
        ({"lstm": {"hidden": [64, 8]}}, {}, "empty range", ("families", "lstm", "hidden")),
        ({"lstm": {"hidden": []}}, {}, "a range is", ("families", "lstm", "hidden")),
        ({"lstm": {"hidden": [0, 8]}}, {}, "greater than or equal to 1", ("families", "lstm", "hidden")),
        ({"lstm": {"hidden": [8.5, 9]}}, {}, "valid integer", ("families", "lstm", "hidden")),
        ({"lstm": {"kind": "conv"}}, {}, "unknown key", ("families", "lstm", "kind")),
        ({"lstm": {}}, {"kind": "softmaxx"}, "did you mean 'softmax'", ("output", "kind")),
        ({"lstm": {}}, {"kind": "softmax", "bits": [12, 16]}, "outside", ("output", "bits")),
        ({"lstm": {}}, {"kind": "softmax", "bit": 8}, "did you mean 'bits'", ("output", "bit")),
        ({"lstm": {}}, {"bits": 8}, "unknown key 'output.bits'", ("output", "bits")),
    ],
)
def test_what_cannot_be_searched_is_refused_with_its_path(families, output, message, path):
    with pytest.raises(SpecError, match=message) as caught:
        SearchSpace(families, output, {})
    assert caught.value.path == path


def test_every_model_of_a_search_with_targets_fits_into_all_of_them():
    space = SearchSpace(None, {"kind": ["regression", "mixture"]}, {}, ["nam", "aidax"])
    assert set(space.families) == {"lstm"}
    for seed in range(40):
        built = space.draw(random_suggest(seed))[0].build(torch.Generator().manual_seed(0))
        assert {"nam", "aidax"} <= set(formats_for(built))


def test_a_conv_for_nam_has_as_many_layers_as_its_window_needs():
    space = SearchSpace({"conv": {"layers": [2, 8], "window": [64, 4096], "channels": 8}}, {}, {}, ["nam"])
    models = [space.draw(random_suggest(seed))[0] for seed in range(40)]
    assert all(2**model.layers >= model.window and model.kernel == 2 for model in models)
    assert max(model.layers for model in models) > 8
    assert all("nam" in formats_for(model.build(torch.Generator().manual_seed(0))) for model in models)


def test_first_draws_keep_to_the_targets():
    space = SearchSpace({"lstm": {"layers": [1, 2], "hidden": [8, 64]}}, {}, {}, ["proteus"])
    (values,) = space.first_draws()
    assert (values["lstm.layers"], values["lstm.hidden"], values["lstm.skip"]) == (1, 40, True)


def test_ranges_that_no_target_takes_are_refused():
    with pytest.raises(SpecError, match=r"families\.lstm: hidden: the formats aimed at take 40; widen"):
        SearchSpace({"lstm": {"hidden": [8, 32]}}, {}, {}, ["proteus"])
    with pytest.raises(SpecError, match="no model of conv fits into proteus"):
        SearchSpace({"conv": None}, {}, {}, ["proteus"])
