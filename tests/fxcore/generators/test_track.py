import json

import numpy as np
import pytest

from fxcore.audio import peak_dbfs
from fxcore.errors import SpecError
from fxcore.generators import GENERATORS
from fxcore.generators.level_sweep import LevelSweep
from fxcore.generators.pluck import Pluck
from fxcore.generators.tone import Tone
from fxcore.generators.track import FADE_MS, Track, fade

SAMPLE_RATE = 44_100


def rendered(seed: int, **fields: object) -> np.ndarray:
    """A track's samples (T,)."""
    return Track.from_dict(fields).render(SAMPLE_RATE, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
def test_a_track_has_its_length_and_stays_within_full_scale(sample_rate: int) -> None:
    track = Track(segments=2, segment_seconds=1.3, level_dbfs=(0, 0), density=(1, 6))
    for seed in range(5):
        samples = track.render(sample_rate, np.random.default_rng(seed))
        assert samples.shape == (1, track.n_samples(sample_rate)) == (1, 2 * round(1.3 * sample_rate))
        assert samples.dtype == np.float32
        assert np.abs(samples).max() <= 1.0


def test_the_same_random_state_gives_the_same_track_and_another_state_another() -> None:
    first, again, other = (rendered(seed, segments=1) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("gap_share", [0.0, 0.3, 0.8])
def test_gaps_are_digital_silence_and_have_their_share(gap_share: float) -> None:
    track = rendered(0, generators=["tone"], gap_share=[gap_share, gap_share])
    silent = (track == 0)[1:] & (track == 0)[:-1]  # runs: a tone alone may cross zero
    assert silent.mean() == pytest.approx(gap_share, abs=0.005)


def test_the_loudest_note_of_a_segment_has_the_level_asked_for() -> None:
    for segment in np.split(rendered(0, level_dbfs=[-18, -18]), 3):
        assert peak_dbfs(segment) == pytest.approx(-18, abs=1e-3)


def test_the_segments_of_a_track_spread_over_the_range_of_levels() -> None:
    for seed in range(5):
        segments = np.split(rendered(seed, segment_seconds=2, level_dbfs=[-30, 0]), 3)
        soft, middle, loud = sorted(peak_dbfs(segment) for segment in segments)
        assert -30 <= soft <= -20 <= middle <= -10 <= loud <= 0


def test_segments_differ_in_gaps_and_lengths_of_notes() -> None:
    segments = np.split(rendered(0, segments=8, generators=["tone"], gap_share=[0, 0.6]), 8)
    gap_shares = [float((segment == 0).mean()) for segment in segments]
    starts = [int(((segment[1:] != 0) & (segment[:-1] == 0)).sum()) for segment in segments]
    assert max(gap_shares) - min(gap_shares) > 0.2
    assert max(starts) > 3 * min(starts)


@pytest.mark.parametrize("density", [1, 3])
def test_density_is_the_number_of_notes_at_once(density: int) -> None:
    sines = [{"kind": "tone", "waveforms": ["sine"]}]
    one_chord = {"segments": 1, "segment_seconds": 4, "note_ms": [4_000, 4_000], "gap_share": [0, 0]}
    track = rendered(4, generators=sines, density=[density, density], **one_chord)
    power = np.abs(np.fft.rfft(track[-2 * SAMPLE_RATE :] * np.hanning(2 * SAMPLE_RATE))) ** 2
    peaks = (power[1:-1] > power[:-2]) & (power[1:-1] > power[2:]) & (power[1:-1] > 1e-2 * power.max())
    assert peaks.sum() == density


def test_a_note_fades_in_and_out_over_five_milliseconds() -> None:
    notes = np.ones(4_800, np.float32)
    fade(notes, 48_000)
    edge = round(FADE_MS * 48)
    assert notes[0] == notes[-1] == 0
    assert notes[edge // 2] == notes[-edge // 2 - 1] == pytest.approx(0.5)
    assert np.all(notes[edge:-edge] == 1)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 100])
def test_a_note_shorter_than_its_fades_is_faded_too(n_samples: int) -> None:
    notes = np.ones(n_samples, np.float32)
    fade(notes, 48_000)
    assert np.all((notes >= 0) & (notes <= 1))


def test_all_generators_play_by_default() -> None:
    assert [generator.kind for generator in Track().generators] == list(GENERATORS)


def test_a_track_survives_json_with_the_fields_of_its_generators() -> None:
    track = Track(generators=(Tone(waveforms=("square",)), Pluck(t60_seconds=(1, 2))), density=(2, 2))
    parsed = Track.from_dict(json.loads(json.dumps(track.as_dict())))
    assert parsed == track
    assert parsed.digest() == track.digest()
    assert track.digest() != Track(generators=(Tone(), Pluck()), density=(2, 2)).digest()


def test_generators_are_parsed_by_kind() -> None:
    track = Track.from_dict({"generators": ["pluck", {"kind": "level_sweep", "level_dbfs": [-40, 0]}]})
    assert track.generators == (Pluck(), LevelSweep(level_dbfs=(-40, 0)))


def test_mistakes_are_named() -> None:
    with pytest.raises(SpecError, match=r"generators.1: unknown generator 'plunk'; did you mean 'pluck'"):
        Track.from_dict({"generators": ["tone", "plunk"]})
    with pytest.raises(SpecError, match="density: a range goes from low to high; got 3 to 1"):
        Track.from_dict({"density": [3, 1]})
    with pytest.raises(SpecError, match="unknown key 'segment'; did you mean 'segments'"):
        Track.from_dict({"segment": 4})
