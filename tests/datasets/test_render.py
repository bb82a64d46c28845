"""Rendered stores: a pure function of the recipe, whoever renders."""

from pathlib import Path

import numpy as np
import pytest

from datasets.render import Recipe, Splits, render, render_shard
from datasets.store import SampleStore
from fxcore.effects.distortion import Distortion
from fxcore.errors import EffectError, OutputExistsError, SpecError
from fxcore.generators.track import Track
from fxcore.yamlfile import load_yaml

RECIPE = Recipe(
    sample_rate=8000,
    seed=1,
    effect=Distortion(),
    track=Track(segments=2, segment_seconds=0.5),
    splits=Splits(train=2, validation=1, test=1),
)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    return render(RECIPE, tmp_path_factory.mktemp("render") / "store")


def test_the_wet_is_the_effect_of_the_dry(rendered: SampleStore) -> None:
    for split, count in (("train", 2), ("validation", 1), ("test", 1)):
        recordings = rendered.split(split)
        assert [r.name for r in recordings] == [f"{split}-{i}" for i in range(count)]
        for recording in recordings:
            assert recording.dry.shape == (1, 8000)
            np.testing.assert_array_equal(recording.wet, RECIPE.effect(recording.dry, 8000))


def test_every_track_has_notes_of_its_own(rendered: SampleStore) -> None:
    dries = [r.dry for split in ("train", "validation", "test") for r in rendered.split(split)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(dries) for b in dries[:i])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_recipe_makes_the_same_bytes(rendered: SampleStore, tmp_path: Path, workers: int) -> None:
    render(RECIPE, tmp_path / "again", workers=workers)
    assert files(tmp_path / "again") == files(Path(rendered.uri))


def test_a_shard_depends_on_its_index_and_seed_alone(rendered: SampleStore) -> None:
    third = render_shard(RECIPE, 2)
    assert files(Path(rendered.uri))[rendered.manifest.shards[2].file] == third.data
    other = render_shard(RECIPE.model_copy(update={"seed": 2}), 2)
    assert other.data != third.data


def test_more_tracks_leave_the_first_as_they_were(rendered: SampleStore) -> None:
    more = RECIPE.model_copy(update={"splits": Splits(train=5)})
    np.testing.assert_array_equal(more.dry(1), rendered.split("train")[1].dry)


def test_the_manifest_renders_the_store_again(rendered: SampleStore, tmp_path: Path) -> None:
    assert rendered.manifest.recipe is not None
    render(Recipe.from_dict(rendered.manifest.recipe), tmp_path / "again")
    assert files(tmp_path / "again") == files(Path(rendered.uri))


def test_the_probes_are_recorded(rendered: SampleStore) -> None:
    probes = rendered.manifest.probes
    assert probes.linearity_esr is not None
    assert probes.linearity_esr > 1e-3
    assert probes.repeatability_esr == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_is_told_and_an_interrupt_leaves_nothing(tmp_path: Path, workers: int) -> None:
    told = []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(RECIPE, tmp_path / "store", workers=workers, progress=interrupt)
    assert told == [(1, 4), (2, 4)]
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_refused_before_any_work(rendered: SampleStore) -> None:
    told: list[int] = []
    with pytest.raises(OutputExistsError):
        render(RECIPE, rendered.uri, progress=lambda done, _: told.append(done))
    assert told == []


def test_a_silent_wet_is_refused_by_track(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"track": Track(segments=1, level_dbfs=(-120.0, -120.0))})
    with pytest.raises(EffectError, match="what distortion made of train-0 is silent"):
        render(recipe, tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_read_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "sample_rate: 44100\nseed: 1\neffect: {kind: distortion, drive_db: 25}\n"
        "track: {segments: 3}\nsplits: {train: 6, validation: 1, test: 1}\n"
    )
    recipe = load_yaml(tmp_path / "recipe.yaml", Recipe)
    assert recipe.effect == Distortion(drive_db=25)
    assert recipe.track.segments == 3
    assert recipe.tracks == 8


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_split_needs_a_track(split: str) -> None:
    values = RECIPE.as_dict()
    with pytest.raises(SpecError, match=f"splits.{split}: .*greater than or equal to 1; got 0"):
        Recipe.from_dict(values | {"splits": {split: 0}})


def test_an_unknown_effect_is_named() -> None:
    with pytest.raises(SpecError, match="unknown effect 'fuz'; did you mean 'fuzz'"):
        Recipe.from_dict({"effect": "fuz"})
