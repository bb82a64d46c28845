"""What is tried first: the baseline, the structured families that the probes do not rule out, and presets."""

from typing import Any

import pytest

from datasets.manifest import Probes, StoreManifest
from fxcore.errors import SpecError
from fxcore.models import FAMILIES, PRESETS
from search.config import SearchSpec
from search.routing import BASELINE, first_models, suggested
from search.space import SearchSpace

STRUCTURED = {kind for kind in FAMILIES if FAMILIES[kind].made_for and kind != BASELINE}
LINEAR = {kind for kind in STRUCTURED if FAMILIES[kind].made_for.linear}
VARYING = {kind for kind in STRUCTURED if FAMILIES[kind].made_for.time_varying}


def store(linearity: float | None, repeatability: float | None, *, played: bool = True) -> StoreManifest:
    return StoreManifest(
        sample_rate=44_100,
        segment_samples=100,
        source="",
        recipe={} if played else None,
        recordings=(),
        shards=(),
        probes=Probes(linearity_esr=linearity, repeatability_esr=repeatability),
    )


def search(**changes: Any) -> SearchSpec:
    return SearchSpec.from_dict({"name": "s", "data": "s", "budget": {"trial_steps": 9}, **changes})


@pytest.mark.parametrize(
    ("linearity", "repeatability", "expected"),
    [
        (1e-9, 1e-12, LINEAR - VARYING),  # a filter, a delay, a reverb
        (1e-9, 0.5, LINEAR & VARYING),  # a chorus
        (0.35, 0.0, STRUCTURED - LINEAR),  # a distortion, a compressor
        (0.35, 0.5, VARYING - LINEAR),
        (None, None, STRUCTURED),
    ],
)
def test_an_effect_that_was_played_gets_the_families_of_its_nature(linearity, repeatability, expected):
    assert set(suggested(store(linearity, repeatability))) == expected


def test_coherence_of_recordings_rules_out_only_what_it_can():
    """A long echo lowers it as a distortion does; where it is whole, nothing varies and nothing bends."""
    assert set(suggested(store(0.2, None, played=False))) == STRUCTURED
    assert set(suggested(store(1e-6, None, played=False))) == LINEAR - VARYING


def test_every_nature_has_a_family():
    assert LINEAR - VARYING
    assert LINEAR & VARYING
    assert STRUCTURED - LINEAR


def test_baseline_then_structure_then_presets():
    spec = search(presets=["a1_nano", "thesis_cnn"])
    models = list(first_models(store(1e-9, 1e-12), spec))
    assert models[0].kind == BASELINE
    assert {model.kind for model in models[1:-2]} == LINEAR - VARYING
    assert models[-2:] == [PRESETS["a1_nano"], PRESETS["thesis_cnn"]]


def test_a_search_without_structured_families_tries_its_presets_alone():
    assert list(first_models(store(None, None), search(structured=False))) == []
    spec = search(structured=False, presets=["a1_nano"])
    assert list(first_models(store(None, None), spec)) == [PRESETS["a1_nano"]]


def test_an_unknown_preset_is_refused():
    with pytest.raises(SpecError, match="unknown preset 'a1_nono'; did you mean 'a1_nano'"):
        search(presets=["a1_nono"])


def test_without_families_all_black_boxes_are_searched_over_their_own_ranges():
    space = SearchSpace(None, {}, {})
    assert set(space.families) == {kind for kind in FAMILIES if FAMILIES[kind].made_for is None}
    assert all(set(space.families[kind]) == set(FAMILIES[kind].ranges) for kind in space.families)
    assert search().space().families == space.families


def test_names_of_families_alone_mean_their_own_ranges():
    spec = search(families=["lstm", "conv"])
    assert set(spec.space().families["lstm"]) == set(FAMILIES["lstm"].ranges)
    assert spec == search(families={"lstm": None, "conv": None})


@pytest.mark.parametrize("kind", list(FAMILIES))
def test_the_ranges_and_starts_of_a_family_are_valid(kind):
    family = FAMILIES[kind]
    SearchSpace({kind: family.ranges}, {}, {})
    for start in family.starts:
        FAMILIES.parse({"kind": kind, **start})
