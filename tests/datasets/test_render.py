"""Rendered stores: a pure function of the recipe, whoever renders, however often it is stopped."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.recipe import Recipe, Splits
from datasets.render import render, render_shard
from datasets.store import SampleStore
from fxcore.effects.command import Command
from fxcore.effects.distortion import Distortion
from fxcore.errors import EffectError, OutputExistsError, StoreError
from fxcore.generators.track import Track

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
    assert files(Path(rendered.uri))[rendered.manifest.shards[2].file] == third
    assert render_shard(RECIPE.model_copy(update={"seed": 2}), 2) != third


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


def interrupted(
    out: Path, recipe: Recipe = RECIPE, *, after: int = 2, workers: int = 1
) -> list[tuple[int, int]]:
    """What a render was told that is interrupted after some tracks."""
    told = []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(recipe, out, workers=workers, progress=interrupt)
    return told


def parts(folder: Path) -> dict[str, int]:
    """Hidden shards and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob(".store.part-*/*")}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_render_is_told_and_leaves_no_store(tmp_path: Path, workers: int) -> None:
    assert interrupted(tmp_path / "store", workers=workers) == [(1, 4), (2, 4)]
    assert len(parts(tmp_path)) == 2
    with pytest.raises(StoreError, match="no sample store at"):
        SampleStore.open(tmp_path / "store")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_next_render_makes_what_is_missing(rendered: SampleStore, tmp_path: Path, workers: int) -> None:
    interrupted(tmp_path / "store")
    before = parts(tmp_path)
    told = []
    render(RECIPE, tmp_path / "store", workers=workers, progress=lambda *done: told.append(done))
    assert told == [(2, 4), (3, 4), (4, 4)]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert files(tmp_path / "store") == files(Path(rendered.uri))
    for name, written in before.items():
        assert (tmp_path / "store" / name).stat().st_mtime_ns == written


def flip_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip_a_byte, truncate])
def test_a_shard_that_was_left_broken_is_made_again(
    rendered: SampleStore, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    interrupted(tmp_path / "store")
    damage(next(tmp_path.glob(".store.part-*/train-1-*")))
    told = []
    render(RECIPE, tmp_path / "store", progress=lambda *done: told.append(done))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert files(tmp_path / "store") == files(Path(rendered.uri))


def test_another_recipe_takes_nothing_over_and_removes_what_was_left(tmp_path: Path) -> None:
    interrupted(tmp_path / "store")
    other = RECIPE.model_copy(update={"seed": 2})
    told = []
    store = render(other, tmp_path / "store", progress=lambda *done: told.append(done))
    assert told == [(done, 4) for done in (1, 2, 3, 4)]
    assert store.digest == render(other, tmp_path / "fresh").digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "store"]


def test_an_interrupted_overwrite_keeps_the_old_store_and_goes_on(tmp_path: Path) -> None:
    old = render(RECIPE.model_copy(update={"seed": 2}), tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        render(RECIPE, tmp_path / "store", overwrite=True, progress=interrupt_at_once)
    assert SampleStore.open(old.uri).verify() == []
    assert SampleStore.open(old.uri).digest == old.digest
    told = []
    render(RECIPE, old.uri, overwrite=True, progress=lambda *done: told.append(done))
    assert told[0] == (1, 4)
    assert len(told) == 4
    assert SampleStore.open(old.uri).verify() == []
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def interrupt_at_once(*_: int) -> None:
    raise KeyboardInterrupt


KILLED = """
import json
import sys
from datasets.recipe import Recipe
from datasets.render import render

if __name__ == "__main__":
    recipe = Recipe.from_dict(json.loads(sys.argv[1]))
    render(recipe, sys.argv[2], workers=int(sys.argv[3]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_render_finishes_where_it_stopped(tmp_path: Path, workers: int) -> None:
    """A real SIGKILL in the middle of two dozen tracks; the workers it had die with it."""
    recipe = RECIPE.model_copy(update={"splits": Splits(train=22), "track": Track(segments=2)})
    (tmp_path / "script.py").write_text(KILLED)
    arguments = [json.dumps(recipe.as_dict()), str(tmp_path / "store"), str(workers)]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), *arguments], start_new_session=True
    )
    try:
        wait_for(lambda: len(parts(tmp_path)) >= 4)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    before = parts(tmp_path)
    assert not (tmp_path / "store").exists()
    wait_for(lambda: not living_in_session(process.pid))
    told: list[tuple[int, int]] = []
    store = render(recipe, tmp_path / "store", progress=lambda *done: told.append(done))
    taken, _ = told[0]
    assert len(before) - workers <= taken <= len(before) < 24
    assert len(told) == 24 - taken + 1
    assert store.verify() == []
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    assert sum(written[name] == when for name, when in before.items()) == taken
    (tmp_path / "script.py").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def living_in_session(session: int) -> list[str]:
    """State of each process of a session that is not a zombie."""
    states = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(owner) == session and state != "Z":
            states.append(state)
    return states


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_renders_of_one_recipe_at_once_are_refused(tmp_path: Path) -> None:
    def again(*_: int) -> None:
        with pytest.raises(StoreError, match="is being written by another process"):
            render(RECIPE, tmp_path / "store")

    assert render(RECIPE, tmp_path / "store", progress=again).verify() == []


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


def test_the_manifest_says_how_the_effect_was_played(tmp_path: Path) -> None:
    code = "import sys, numpy as np, soundfile as sf; dry, rate = sf.read(sys.argv[1], dtype='float32')"
    code += "; sf.write(sys.argv[2], np.pad(dry, (137, 0))[:-137], rate, subtype='FLOAT')"
    late = Command(command=f"{{python}} -c {shlex.quote(code)} {{input}} {{output}}")
    manifest = render(RECIPE.model_copy(update={"effect": late}), tmp_path / "store").manifest
    assert manifest.as_played == {**late.as_dict(), "latency_samples": 137}
