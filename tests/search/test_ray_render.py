"""Rendering on Ray: the bytes of a local render, and its errors in one line."""

from pathlib import Path

import numpy as np
import pytest

from datasets.recipe import Recipe
from datasets.render import render
from fxcore import audio
from fxcore.errors import EffectError, SearchError
from fxcore.generators.track import Track

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def recipe(**changes: object) -> Recipe:
    values = {
        "sample_rate": 8000,
        "effect": {"kind": "distortion"},
        "track": {"segments": 2, "segment_seconds": 0.5},
        "splits": {"train": 6},
    }
    return Recipe.from_dict(values | changes)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupt(done: int, _total: int) -> None:
    if done == 3:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number, name in enumerate("abcd"):
        notes = Track(segments=1, segment_seconds=2.0).render(8000, np.random.default_rng(number))
        audio.write(folder / f"{name}.flac", notes, 8000)
    return folder


def test_a_cluster_makes_the_bytes_that_one_machine_makes(tmp_path: Path, music: Path) -> None:
    from search.engine.ray_render import on_cluster

    with_music = recipe(training_audio={"folder": str(music)})
    render(with_music, tmp_path / "here")
    with pytest.raises(KeyboardInterrupt):
        render(with_music, tmp_path / "there", maker=on_cluster(None), progress=interrupt)
    told = []
    render(with_music, tmp_path / "there", maker=on_cluster(None), progress=lambda *n: told.append(n))
    assert told[0] == (3, 8)
    assert len(told) == 6
    assert files(tmp_path / "there") == files(tmp_path / "here")


def test_an_error_of_the_effect_is_the_one_that_one_machine_raises(tmp_path: Path) -> None:
    from search.engine.ray_render import on_cluster

    silent = recipe(track={"segments": 1, "level_dbfs": (-120.0, -120.0)})
    with pytest.raises(EffectError, match=r"what distortion made of .* is silent") as error:
        render(silent, tmp_path / "store", maker=on_cluster(None))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    from search.engine.ray_render import on_cluster

    with pytest.raises(SearchError, match=r"no Ray cluster at 127\.0\.0\.1:1") as error:
        render(recipe(), tmp_path / "store", maker=on_cluster("127.0.0.1:1"))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
