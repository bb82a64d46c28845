"""The user's own music in a rendered store: its share, its splits, its levels, and its hashes."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.recipe import Recipe
from datasets.render import render
from datasets.store import SampleStore
from datasets.training_audio import TrainingAudio
from fxcore import audio
from fxcore.errors import AudioError, SpecError

RATE = 8000
NAMES = ("a.wav", "b.flac", "deep/c.ogg", "deep/d.mp3", "e.wav", "f.wav")
FREQUENCIES_HZ = dict(zip(NAMES, (300, 500, 700, 900, 1100, 1300), strict=True))
LEVELS_DBFS = (-30.0, -6.0)


def tone(frequency_hz: float, rate: int, seconds: float = 3.0) -> audio.Signal:
    return (0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate)) / rate))[None].astype(
        np.float32
    )


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings, a tone each, and files that are none."""
    folder = tmp_path_factory.mktemp("music")
    for name, frequency_hz in FREQUENCIES_HZ.items():
        audio.write(folder / name, tone(frequency_hz, 16_000), 16_000)
    (folder / "cover.jpg").write_bytes(b"picture")
    (folder / "._a.wav").write_bytes(b"what macOS leaves on a stick")
    return folder


def recipe(folder: Path, **changes: Any) -> Recipe:
    values = {
        "sample_rate": RATE,
        "seed": 4,
        "effect": "distortion",
        "track": {"segments": 2, "segment_seconds": 0.5, "level_dbfs": LEVELS_DBFS},
        "training_audio": {"folder": str(folder), "share": 0.5},
        "splits": {"train": 4, "validation": 2, "test": 2},
    }
    return Recipe.from_dict(values | changes)


def pitch_hz(segment: np.ndarray) -> int:
    """The loudest frequency of half a second at 8 kHz."""
    return 2 * int(np.argmax(np.abs(np.fft.rfft(segment * np.hanning(len(segment))))))


def heard(dry: audio.Signal) -> set[str]:
    """The files that the two segments of a music track come from."""
    by_pitch = {frequency_hz: name for name, frequency_hz in FREQUENCIES_HZ.items()}
    return {by_pitch[pitch_hz(segment)] for segment in np.split(dry[0], 2)}


@pytest.fixture(scope="module")
def pinned(music: Path) -> Recipe:
    return recipe(music).pinned()


def music_tracks(recipe: Recipe) -> list[int]:
    assert recipe.training_audio is not None
    numbers = [int(recipe.entry(index).name.partition("-")[2]) for index in range(recipe.tracks)]
    return [index for index, number in enumerate(numbers) if recipe.training_audio.holds(number)]


@pytest.mark.parametrize(
    ("share", "tracks", "count"),
    [(0.5, 4, 2), (0.5, 1, 1), (0.4, 1, 0), (0.25, 8, 2), (1.0, 7, 7), (0.1, 9, 1)],
)
def test_the_share_of_tracks_is_rounded_and_spread(share: float, tracks: int, count: int) -> None:
    music = TrainingAudio(folder="music", share=share)
    assert music.count(tracks) == count
    assert sum(music.holds(number) for number in range(tracks)) == count


def test_that_share_of_each_split_is_music(pinned: Recipe) -> None:
    assert [pinned.entry(index).name for index in music_tracks(pinned)] == [
        "train-0",
        "train-2",
        "validation-0",
        "test-0",
    ]
    for index in music_tracks(pinned):
        assert heard(pinned.dry(index)) <= set(NAMES)


def test_the_other_tracks_are_the_notes_they_were(pinned: Recipe, music: Path) -> None:
    without = recipe(music, training_audio=None)
    for index in set(range(pinned.tracks)) - set(music_tracks(pinned)):
        np.testing.assert_array_equal(pinned.dry(index), without.dry(index))


def test_no_recording_is_heard_in_two_splits_and_every_one_in_use_is_heard(pinned: Recipe) -> None:
    assert pinned.training_audio is not None
    by_split: dict[str, set[str]] = {}
    for index in music_tracks(pinned):
        by_split.setdefault(pinned.entry(index).split, set()).update(heard(pinned.dry(index)))
    assert by_split.keys() == {"train", "validation", "test"}
    assert sum(len(names) for names in by_split.values()) == len(set().union(*by_split.values()))
    assert by_split == {
        split: {file.name for file in pinned.training_audio.files if file.split == split}
        for split in by_split
    }


def test_levels_vary_over_the_range_of_the_track(pinned: Recipe) -> None:
    segments = [s for index in music_tracks(pinned) for s in np.split(pinned.dry(index), 2, axis=1)]
    peaks = [audio.peak_dbfs(segment) for segment in segments]
    assert min(peaks) >= LEVELS_DBFS[0] - 0.1
    assert max(peaks) <= LEVELS_DBFS[1] + 0.1
    assert max(peaks) - min(peaks) > 10
    assert all(abs(segment[0, 0]) == 0 == abs(segment[0, -1]) for segment in segments)  # faded


def test_the_same_seed_draws_the_same_and_another_one_other_files(music: Path, pinned: Recipe) -> None:
    assert recipe(music).pinned() == pinned
    index = music_tracks(pinned)[0]
    np.testing.assert_array_equal(recipe(music).pinned().dry(index), pinned.dry(index))
    others = [recipe(music, seed=seed).pinned().training_audio for seed in range(5)]
    assert len({other.files for other in others if other}) > 1


def test_a_short_recording_is_repeated(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        audio.write(tmp_path / f"{name}.wav", tone(300 + 200 * number, RATE, 0.6), RATE)
    one = recipe(
        tmp_path,
        track={"segments": 1, "segment_seconds": 2.0},
        training_audio={"folder": str(tmp_path), "share": 1.0},
        splits={"train": 1},
    ).pinned()
    dry = one.dry(0)
    assert dry.shape == (1, 2 * RATE)
    length = round(0.6 * RATE)
    np.testing.assert_array_equal(dry[:, length : 2 * length], dry[:, :length])


def test_a_click_that_the_fade_takes_away_leaves_silence(tmp_path: Path) -> None:
    for number, name in enumerate("abc", 1):
        click = np.zeros((1, RATE), np.float32)
        click[0, 0] = 0.1 * number
        audio.write(tmp_path / f"{name}.wav", click, RATE)
    clicks = recipe(
        tmp_path,
        track={"segments": 1, "segment_seconds": 1.0},
        training_audio={"folder": str(tmp_path), "share": 1.0},
        splits={"train": 1},
    ).pinned()
    assert not clicks.dry(0).any()


def test_two_files_of_the_same_content_are_one_recording(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        audio.write(tmp_path / f"{name}.wav", tone(300, RATE), RATE)
    with pytest.raises(
        AudioError, match=r"a recording for each of train, validation, test: .* holds 1 \(.*\); add some"
    ):
        recipe(tmp_path).pinned()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, music: Path) -> None:
    shutil.copytree(music, tmp_path / "music")
    (tmp_path / "music" / "deep" / "d.mp3").write_bytes(b"words" * 500)
    with pytest.raises(AudioError, match=r"music/deep/d\.mp3 cannot be read as audio"):
        render(recipe(tmp_path / "music"), tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["music"]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"training_audio\.folder must be a folder; .*/nothing is none"):
        recipe(tmp_path / "nothing").pinned()


def test_a_share_too_small_for_a_track_is_told(music: Path) -> None:
    with pytest.raises(SpecError, match=r"training_audio\.share must make a track; 0\.01 makes none"):
        recipe(music, training_audio={"folder": str(music), "share": 0.01}).pinned()


def test_a_relative_folder_is_below_the_current_one(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(music.parent)
    found = recipe(Path(music.name)).pinned()
    assert found == recipe(music).pinned()


def test_the_manifest_renders_the_store_again_and_refuses_changed_music(tmp_path: Path, music: Path) -> None:
    folder = tmp_path / "music"
    shutil.copytree(music, folder)
    store = render(recipe(folder), tmp_path / "store", workers=2)
    again = Recipe.from_dict(store.manifest.recipe)
    assert render(again, tmp_path / "again").digest == store.digest
    assert again.training_audio is not None
    changed = next(file.name for file in again.training_audio.files if file.split == "train")
    audio.write(folder / changed, tone(2000, RATE), RATE)
    with pytest.raises(AudioError, match=rf"{changed} has changed since the recipe chose it"):
        render(again, tmp_path / "third")


def test_the_digest_follows_the_audio_and_not_its_place(tmp_path: Path, music: Path) -> None:
    shutil.copytree(music, tmp_path / "moved")
    here = render(recipe(music), tmp_path / "here")
    moved = render(recipe(tmp_path / "moved"), tmp_path / "there")
    assert here.manifest.recipe != moved.manifest.recipe
    assert SampleStore.open(tmp_path / "there").digest == here.digest
    for name in NAMES:
        audio.write(tmp_path / "moved" / name, tone(FREQUENCIES_HZ[name] + 20, 16_000), 16_000)
    assert recipe(tmp_path / "moved").pinned().data_digest() != recipe(music).pinned().data_digest()
