"""Files and signals: what is read is what was written, and what is no audio is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fxcore import audio
from fxcore.audio import Signal
from fxcore.errors import AudioError

RATE = 44_100


def noise(samples: int, channels: int = 1) -> Signal:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def tone(frequency_hz: float, seconds: float, rate: int) -> Signal:
    phase = 2 * np.pi * frequency_hz * np.arange(round(seconds * rate)) / rate
    return np.sin(phase)[None].astype(np.float32)


def test_a_wav_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    written = noise(1000, channels=2) * 3  # floats may exceed full scale
    audio.write(tmp_path / "a.wav", written, RATE)
    samples, rate = audio.read(tmp_path / "a.wav")
    assert rate == RATE
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, written)


def test_a_wav_holds_no_time_of_day(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", np.zeros((2, 10), np.float32), 44_100)
    assert b"PEAK" not in (tmp_path / "a.wav").read_bytes()  # a chunk that does


def test_a_flac_is_read_back_to_24_bits(tmp_path: Path) -> None:
    written = noise(1000)
    audio.write(tmp_path / "a.flac", written, RATE)
    np.testing.assert_allclose(audio.read(tmp_path / "a.flac")[0], written, atol=2**-23)


def test_channels_are_averaged_to_mono(tmp_path: Path) -> None:
    stereo = noise(1000, channels=2)
    audio.write(tmp_path / "a.wav", stereo, RATE)
    mono, _ = audio.read_mono(tmp_path / "a.wav")
    assert mono.shape == (1, 1000)
    np.testing.assert_allclose(mono[0], (stereo[0] + stereo[1]) / 2, atol=1e-7)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav does not exist"):
        audio.read(tmp_path / "gone.wav")


def test_text_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("these are words")
    with pytest.raises(AudioError, match=r"a\.wav cannot be read as audio .*; give a wav") as error:
        audio.read(tmp_path / "a.wav")
    assert "\n" not in str(error.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="holds no samples"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_samples_are_counted_and_placed(tmp_path: Path, bad: float) -> None:
    samples = noise(RATE)
    samples[0, [22_050, 30_000]] = bad
    soundfile.write(tmp_path / "a.wav", samples.T, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"2 NaN or infinite samples, the first at 0\.500 s"):
        audio.read(tmp_path / "a.wav")


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"must end in \.wav or \.flac; got 'a\.doc'"):
        audio.write(tmp_path / "a.doc", noise(10), RATE)


def test_a_flac_refuses_what_it_would_clip_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"write a \.wav instead"):
        audio.write(tmp_path / "a.flac", noise(10) * 3, RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_cannot_hold_the_signal_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="could not be written"):
        audio.write(tmp_path / "a.flac", np.zeros((9, 100), np.float32), RATE)  # flac holds eight channels
    assert list(tmp_path.iterdir()) == []


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    signal = noise(1000)
    assert audio.resample(signal, RATE, RATE) is signal


@pytest.mark.parametrize("to_hz", [22_050, 48_000, 96_000])
def test_a_tone_survives_resampling_in_time_and_level(to_hz: int) -> None:
    resampled = audio.resample(tone(1000, 1, RATE), RATE, to_hz)
    expected = tone(1000, 1, to_hz)
    assert resampled.shape == expected.shape
    middle = slice(to_hz // 10, -to_hz // 10)
    np.testing.assert_allclose(resampled[:, middle], expected[:, middle], atol=1e-4)


def test_a_tone_above_the_new_nyquist_vanishes() -> None:
    resampled = audio.resample(tone(15_000, 1, RATE), RATE, 22_050)
    assert audio.peak_dbfs(resampled[:, 2000:-2000]) < -100


def test_peaks_in_decibels() -> None:
    assert audio.peak_dbfs(np.array([[0.1, -1.0]], np.float32)) == 0.0
    assert audio.peak_dbfs(np.array([[0.1]], np.float32)) == pytest.approx(-20.0)
    assert audio.peak_dbfs(np.zeros((1, 4), np.float32)) == -np.inf


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_constant_is_silence(level: float) -> None:
    with pytest.raises(AudioError, match="the wet is silent"):
        audio.check_not_silent(np.full((1, 100), level, np.float32), "the wet")


def test_a_quiet_tone_is_no_silence() -> None:
    audio.check_not_silent(0.001 * tone(440, 0.1, RATE), "the wet")


def test_clipping_is_runs_at_full_scale() -> None:
    assert audio.count_clipped(tone(440, 1, RATE)) == 0  # a lone sample at full scale is no clipping
    clipped = np.clip(2 * tone(440, 1, RATE), -1, 1)
    assert audio.count_clipped(clipped) > RATE / 2


def test_a_minute_of_ogg_is_written(tmp_path: Path) -> None:
    audio.write(tmp_path / "long.ogg", np.zeros((1, 60 * 44_100), np.float32), 44_100)
    assert audio.read(tmp_path / "long.ogg")[0].shape == (1, 60 * 44_100)
