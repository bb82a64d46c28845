"""Recipes: what they refuse, where tracks lie, and what rows say of them."""

import json
from pathlib import Path

import pytest

from datasets.recipe import Recipe, Splits
from fxcore.effects.distortion import Distortion
from fxcore.errors import SpecError
from fxcore.generators.track import Track
from fxcore.yamlfile import load_yaml

RECIPE = Recipe(
    sample_rate=8000, effect=Distortion(drive_db=12.0), splits=Splits(train=2, validation=1, test=1)
)


def test_a_recipe_is_read_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "sample_rate: 44100\nseed: 1\neffect: {kind: distortion, drive_db: 25}\n"
        "track: {segments: 3}\ntraining_audio: {folder: music, share: 0.25}\n"
        "splits: {train: 6, validation: 1, test: 1}\n"
    )
    recipe = load_yaml(tmp_path / "recipe.yaml", Recipe)
    assert recipe.effect == Distortion(drive_db=25)
    assert recipe.track.segments == 3
    assert recipe.training_audio is not None
    assert recipe.training_audio.share == 0.25
    assert recipe.tracks == 8


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_split_needs_a_track(split: str) -> None:
    values = RECIPE.as_dict()
    with pytest.raises(SpecError, match=f"splits.{split}: .*greater than or equal to 1; got 0"):
        Recipe.from_dict(values | {"splits": {split: 0}})


def test_an_unknown_effect_is_named() -> None:
    with pytest.raises(SpecError, match="unknown effect 'fuz'; did you mean 'fuzz'"):
        Recipe.from_dict({"effect": "fuz"})


def test_tracks_lie_in_their_splits() -> None:
    names = [RECIPE.entry(index).name for index in range(RECIPE.tracks)]
    assert names == ["train-0", "train-1", "validation-0", "test-0"]
    assert {RECIPE.entry(index).samples for index in range(4)} == {30 * 8000}


def test_without_music_a_recipe_is_pinned_as_it_is() -> None:
    assert RECIPE.pinned() is RECIPE


def test_rows_say_generator_and_effect_as_set_and_as_played() -> None:
    origin = RECIPE.origin(0)
    generator = json.loads(origin.generator)
    assert generator.pop("kind") == "track"
    assert Track.from_dict(generator) == RECIPE.track
    assert Distortion.from_dict(json.loads(origin.effect)) == RECIPE.effect
    assert json.loads(origin.controls) == RECIPE.effect.as_played(8000)
    assert origin.recipe == RECIPE.data_digest()


def test_the_data_digest_follows_every_setting() -> None:
    changes = ({"seed": 1}, {"effect": Distortion()}, {"splits": Splits(train=3)}, {"sample_rate": 9000})
    digests = {RECIPE.model_copy(update=change).data_digest() for change in ({}, *changes)}
    assert len(digests) == 5
