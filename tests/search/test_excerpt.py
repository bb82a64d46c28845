"""Where an excerpt lies, its levels, and what its players hold."""

import base64
import io

import numpy as np
import pytest
import soundfile
import torch

from fxcore.audio import Recording, Signal
from fxcore.metrics.level import LevelDifference
from search.excerpt import find_excerpt, find_places, matched, player_source, playing_gain, rms

RATE = 1000


def recording(seconds: float, loud_from: float) -> Recording:
    """Soft noise with a loud second."""
    wet = 0.01 * np.random.default_rng(0).uniform(-1, 1, (1, round(seconds * RATE))).astype(np.float32)
    wet[:, round(loud_from * RATE) : round((loud_from + 1) * RATE)] *= 50
    return Recording("take", wet, wet)


def sine(amplitude: float, seconds: float) -> Signal:
    time = np.arange(round(seconds * RATE)) / RATE
    return amplitude * np.sin(2 * np.pi * 125 * time, dtype=np.float32)[None]


def test_an_excerpt_begins_at_the_loudest_place_of_all_recordings():
    take = recording(30, 2)
    quieter = Recording("quieter", take.dry, 0.5 * take.wet)
    assert find_excerpt([quieter, take, quieter], RATE) == (1, 2000, 10_000)


def test_an_excerpt_near_the_end_begins_early_enough_to_last():
    assert find_excerpt([recording(30, 28)], RATE) == (0, 22_000, 30_000)


def test_a_short_recording_is_its_own_excerpt():
    assert find_excerpt([recording(3, 1)], RATE) == (0, 0, 3000)


def test_an_excerpt_at_a_high_sample_rate_has_no_more_samples():
    wet = np.ones((1, 20 * 192_000), np.float32)
    excerpt = find_excerpt([Recording("take", wet, wet)], 192_000)
    assert excerpt.stop - excerpt.start == 400_000


def test_places_are_an_onset_a_soft_passage_and_the_loudest_passage():
    swell = sine(1.0, 2.0) * np.linspace(0.5, 1.0, 2000, dtype=np.float32)
    places = find_places(np.concatenate([sine(0.0, 1.0), swell, sine(0.02, 1.0)], axis=1), RATE)
    assert places.length == 30
    assert places.transient == 990  # 10 ms before the onset
    assert 2900 < places.loud <= 2970
    assert 3000 <= places.quiet <= 3970


def test_places_in_a_signal_shorter_than_a_picture_begin_at_zero():
    assert find_places(sine(1.0, 0.01), RATE)[:3] == (0, 0, 0)


def test_matched_is_as_loud_as_the_wet_and_silence_stays_silent():
    low, middle = (
        amplitude * np.sin(2 * np.pi * hz * np.arange(96_000) / 48_000, dtype=np.float32)[None]
        for amplitude, hz in ((0.5, 50), (0.1, 2000))
    )
    loud = matched(low, middle, 48_000)
    difference = LevelDifference(48_000)
    difference.update(*(torch.as_tensor(s)[None] for s in (middle, middle, loud)))
    assert difference.value() < 1e-4
    assert rms(loud) > 1.5 * rms(middle)  # ears hear bass less
    assert not matched(np.zeros((1, 10), np.float32), middle, 48_000).any()


def test_the_playing_gain_only_turns_down():
    assert playing_gain([sine(0.1, 1.0), sine(0.5, 1.0)]) == 1.0
    assert playing_gain([sine(0.1, 1.0), sine(4.0, 1.0)]) * 4.0 == pytest.approx(0.98, rel=1e-3)
    assert playing_gain([np.zeros((1, 4), np.float32)]) == 1.0


def test_a_player_holds_the_signal_to_16_bits():
    signal = sine(0.9, 0.2)
    head, data = player_source(signal, RATE).split(",")
    samples, sample_rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert (head, sample_rate) == ("data:audio/flac;base64", RATE)
    np.testing.assert_allclose(samples, signal[0], atol=2**-15)
