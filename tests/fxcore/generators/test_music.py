"""Excerpts of music: any format and rate, places where something sounds, and errors that name the file."""

from pathlib import Path

import numpy as np
import pytest

from fxcore import audio
from fxcore.errors import AudioError
from fxcore.generators.music import check_readable, excerpt

RATE = 16_000


def tone(seconds: float, frequency_hz: float = 440.0, level: float = 0.5) -> audio.Signal:
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * frequency_hz * time_s))[None].astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_read(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"tone.{extension}"
    audio.write(path, tone(3.0), RATE)
    check_readable(path)
    music = excerpt(path, RATE, RATE, rng())
    assert music.shape == (1, RATE)
    assert music.dtype == np.float32
    assert np.argmax(np.abs(np.fft.rfft(music[0]))) == 440
    assert np.abs(music).max() == pytest.approx(0.5, abs=0.02)


def test_an_excerpt_is_a_stretch_of_the_file(tmp_path: Path) -> None:
    noise = rng(1).uniform(-1, 1, (1, 2 * RATE)).astype(np.float32)
    audio.write(tmp_path / "noise.wav", noise, RATE)
    music = excerpt(tmp_path / "noise.wav", 1000, RATE, rng())
    (start,) = np.flatnonzero(noise[0] == music[0, 0])
    np.testing.assert_array_equal(music[0], noise[0, start : start + 1000])


def test_the_place_follows_from_the_generator_alone(tmp_path: Path) -> None:
    audio.write(tmp_path / "noise.wav", rng(1).uniform(-1, 1, (1, 2 * RATE)).astype(np.float32), RATE)
    first, again, other = (excerpt(tmp_path / "noise.wav", 1000, RATE, rng(seed)) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_channels_are_averaged(tmp_path: Path) -> None:
    audio.write(tmp_path / "stereo.wav", np.concatenate([tone(1.0), 0 * tone(1.0)]), RATE)
    music = excerpt(tmp_path / "stereo.wav", RATE, RATE, rng())
    np.testing.assert_allclose(music, 0.5 * tone(1.0), atol=1e-7)


def test_another_sample_rate_is_resampled(tmp_path: Path) -> None:
    audio.write(tmp_path / "tone.wav", tone(3.0), RATE)
    music = excerpt(tmp_path / "tone.wav", 44_100, 44_100, rng())
    assert music.shape == (1, 44_100)
    assert np.argmax(np.abs(np.fft.rfft(music[0]))) == 440


def test_a_shorter_recording_comes_whole(tmp_path: Path) -> None:
    audio.write(tmp_path / "short.wav", tone(0.5), RATE)
    np.testing.assert_array_equal(excerpt(tmp_path / "short.wav", RATE, RATE, rng()), tone(0.5))


def test_places_where_nothing_sounds_are_drawn_again(tmp_path: Path) -> None:
    half_silent = np.concatenate([np.zeros((1, 4 * RATE), np.float32), tone(4.0)], axis=1)
    audio.write(tmp_path / "late.wav", half_silent, RATE)
    for seed in range(10):
        assert audio.peak_dbfs(excerpt(tmp_path / "late.wav", RATE // 4, RATE, rng(seed))) > -40


def test_a_silent_recording_is_named(tmp_path: Path) -> None:
    audio.write(tmp_path / "silence.wav", np.zeros((1, RATE), np.float32), RATE)
    with pytest.raises(AudioError, match=r"silence\.wav is silent .* take it out of the folder"):
        excerpt(tmp_path / "silence.wav", 1000, RATE, rng())


def test_samples_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    audio.write(tmp_path / "broken.wav", np.full((1, RATE), np.nan, np.float32), RATE)
    with pytest.raises(AudioError, match=r"broken\.wav from .* s on has .* NaN"):
        excerpt(tmp_path / "broken.wav", 1000, RATE, rng())


@pytest.mark.parametrize("name", ["words.wav", "words.flac", "words.ogg", "words.mp3"])
def test_what_is_no_audio_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"words " * 1000)
    with pytest.raises(AudioError, match=rf"{name} cannot be read as audio .* take it out of the folder"):
        check_readable(tmp_path / name)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    audio.write(path, rng(1).uniform(-0.5, 0.5, (1, 8 * RATE)).astype(np.float32), RATE)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(AudioError, match=r"cut\.flac cannot be read as audio"):
        excerpt(path, 1000, RATE, rng())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav does not exist; every machine that renders needs"):
        check_readable(tmp_path / "gone.wav")
