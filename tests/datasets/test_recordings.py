"""Importing a pair: anything a recorder writes goes in, and what is no pair is told in one line."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy import signal

from datasets.inspect import inspect_store
from datasets.probes import esr
from datasets.recordings import ImportReport, import_recordings
from datasets.store import SampleStore
from fxcore.audio import Signal, resample
from fxcore.effects.octave import Octave
from fxcore.errors import AudioError, OutputExistsError, PairError
from fxcore.generators.pluck import Pluck
from fxcore.generators.track import Track

RATE = 22_050
Save = Callable[..., Path]


def music(seed: int, seconds: float) -> Signal:
    """Plucks, as dark as an electric guitar is: resampling then takes nothing off them."""
    track = Track(segments=1, segment_seconds=seconds, generators=(Pluck(),), gap_share=(0.0, 0.0))
    plucks = track.render(RATE, np.random.default_rng(seed))
    dark = signal.lfilter(*signal.butter(4, 5000 / (RATE / 2)), plucks)
    return (0.5 * dark / np.abs(dark).max()).astype(np.float32)


DRY = music(1, 40)
OTHER = music(2, 6)


def amp(dry: Signal) -> Signal:
    return 0.8 * np.tanh(4 * dry)


def delayed(wet: Signal, samples: int) -> Signal:
    if samples < 0:
        return np.pad(wet[:, -samples:], ((0, 0), (0, -samples)))
    return np.pad(wet, ((0, 0), (samples, 0)))[:, : wet.shape[1]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, samples: Signal, rate: int = RATE, **options: Any) -> Path:
        soundfile.write(tmp_path / name, samples.T, rate, **options)
        return tmp_path / name

    return write


@pytest.fixture
def pair(save: Save) -> tuple[Path, Path]:
    return save("dry.wav", DRY, subtype="FLOAT"), save("wet.wav", amp(DRY), subtype="FLOAT")


@pytest.fixture
def other_pair(save: Save) -> tuple[Path, Path]:
    return save("dry2.wav", OTHER, subtype="FLOAT"), save("wet2.wav", amp(OTHER), subtype="FLOAT")


def spans(store: SampleStore, split: str) -> list[tuple[int, int]]:
    entries = store.manifest.recordings
    return [(e.start_sample, e.start_sample + e.samples) for e in entries if e.split == split]


def test_one_pair_is_split_by_time(pair: tuple[Path, Path], tmp_path: Path) -> None:
    report = import_recordings(*pair, tmp_path / "store")
    store = SampleStore.open(tmp_path / "store")
    for split in ("validation", "test"):
        assert len(spans(store, split)) == 3
        assert report.seconds[split] == pytest.approx(0.12 * 40, abs=0.01)
    assert len(spans(store, "train")) == 7
    blocks = sorted(span for split in ("train", "validation", "test") for span in spans(store, split))
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(blocks)]
    assert gaps == [round(0.5 * RATE)] * 12
    assert blocks[0][0] == 0
    assert blocks[-1][1] == DRY.shape[1]
    centres = [
        (a + b) / 2 / DRY.shape[1] for a, b in sorted(spans(store, "validation") + spans(store, "test"))
    ]
    np.testing.assert_allclose(centres, (np.arange(6) + 0.5) / 6, atol=1e-3)


def test_every_block_lies_where_the_manifest_says(pair: tuple[Path, Path], tmp_path: Path) -> None:
    import_recordings(*pair, tmp_path / "store")
    store = SampleStore.open(tmp_path / "store")
    for split in ("train", "validation", "test"):
        for recording, (start, stop) in zip(store.split(split), spans(store, split), strict=True):
            np.testing.assert_array_equal(recording.dry, DRY[:, start:stop])
            np.testing.assert_array_equal(recording.wet, amp(DRY)[:, start:stop])


def test_a_test_pair_is_the_test_split_whole(
    pair: tuple[Path, Path], other_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    report = import_recordings(*pair, tmp_path / "store", test=other_pair)
    store = SampleStore.open(tmp_path / "store")
    (recording,) = store.split("test")
    np.testing.assert_array_equal(recording.dry, OTHER)
    assert len(spans(store, "validation")) == 3
    assert len(spans(store, "train")) == 4
    assert report.seconds["test"] == 6.0
    assert report.seconds["train"] == pytest.approx(40 * 0.88 - 3)


def test_the_report_says_what_was_found(save: Save, tmp_path: Path) -> None:
    report = import_recordings(save("dry.wav", DRY), save("wet.wav", 0.5 * DRY), tmp_path / "store")
    assert report.gain_db == pytest.approx(-6.02, abs=0.02)
    assert report.polarity == 1
    assert report.latency_samples == 0
    assert report.correlation == pytest.approx(1.0, abs=0.01)
    assert (report.dry_clipped, report.wet_clipped, report.warnings) == (0, 0, ())
    assert ImportReport.from_dict(report.as_dict()) == report


@pytest.mark.parametrize("latency", [300, -300])
def test_latency_is_removed_and_recorded(save: Save, tmp_path: Path, latency: int) -> None:
    report = import_recordings(
        save("dry.wav", DRY), save("wet.wav", delayed(amp(DRY), latency)), tmp_path / "store"
    )
    assert latency - 60 <= report.latency_samples <= latency
    store = SampleStore.open(tmp_path / "store")
    assert {entry.latency_samples for entry in store.manifest.recordings} == {report.latency_samples}
    left = latency - report.latency_samples
    first = store.split("train")[0]
    np.testing.assert_allclose(first.wet[:, left:], amp(first.dry)[:, : first.dry.shape[1] - left], atol=1e-3)


def test_a_latency_that_is_given_is_taken(save: Save, tmp_path: Path) -> None:
    dry, wet = save("dry.wav", DRY, subtype="FLOAT"), save("wet.wav", delayed(amp(DRY), 300), subtype="FLOAT")
    report = import_recordings(dry, wet, tmp_path / "store", latency_samples=300)
    assert report.latency_samples == 300
    (first, *_) = SampleStore.open(tmp_path / "store").split("train")
    np.testing.assert_array_equal(first.wet, amp(first.dry))


def test_the_test_pair_shares_a_latency_that_is_nearly_its_own(
    save: Save, other_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    wet = save("late.wav", delayed(amp(DRY), 300))
    late = other_pair[0], save("late2.wav", delayed(amp(OTHER), 310))
    report = import_recordings(save("dry.wav", DRY), wet, tmp_path / "store", test=late)
    (entry,) = [e for e in SampleStore.open(tmp_path / "store").manifest.recordings if e.split == "test"]
    assert entry.latency_samples == report.latency_samples
    assert report.warnings == ()


def test_a_test_pair_of_another_latency_keeps_its_own_and_is_told(
    pair: tuple[Path, Path], other_pair: tuple[Path, Path], save: Save, tmp_path: Path
) -> None:
    late = other_pair[0], save("late2.wav", delayed(amp(OTHER), 900))
    report = import_recordings(*pair, tmp_path / "store", test=late)
    (entry,) = [e for e in SampleStore.open(tmp_path / "store").manifest.recordings if e.split == "test"]
    assert 840 <= entry.latency_samples <= 900
    assert report.warnings == (f"test pair: its latency is {entry.latency_samples} samples, not 0",)


def test_an_inverted_wet_is_told_and_left_so(save: Save, tmp_path: Path) -> None:
    dry, wet = save("dry.wav", DRY, subtype="FLOAT"), save("wet.wav", -amp(DRY), subtype="FLOAT")
    report = import_recordings(dry, wet, tmp_path / "store")
    assert report.polarity == -1
    assert "upside down" in report.warnings[0]
    store = SampleStore.open(tmp_path / "store")
    assert {entry.polarity for entry in store.manifest.recordings} == {-1}
    (first, *_) = store.split("train")
    np.testing.assert_array_equal(first.wet, -amp(first.dry))


def test_a_pitch_shifted_wet_goes_in_with_a_warning(save: Save, tmp_path: Path) -> None:
    octave = save("wet.wav", Octave(delay_ms=0)(DRY, RATE))
    report = import_recordings(save("dry.wav", DRY), octave, tmp_path / "store")
    assert report.latency_samples == 0
    assert "known to 20 ms only" in report.warnings[0]


@pytest.mark.parametrize(
    ("name", "options"), [("wet.flac", {}), ("wet.ogg", {}), ("wet.wav", {"subtype": "PCM_16"})]
)
def test_any_format_and_rate_and_channels(
    save: Save, tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    wet = resample(amp(DRY), RATE, 48_000)
    stereo = np.concatenate([0.9 * wet, 0.7 * wet])
    report = import_recordings(
        save("dry.wav", DRY), save(name, stereo, 48_000, **options), tmp_path / "store"
    )
    assert report.latency_samples == 0
    store = SampleStore.open(tmp_path / "store")
    assert store.manifest.sample_rate == RATE
    (first, *_) = store.split("train")
    assert esr(first.wet, 0.8 * amp(first.dry)) < 0.02  # ogg loses some


def test_both_sides_are_resampled_to_a_rate_that_is_given(pair: tuple[Path, Path], tmp_path: Path) -> None:
    report = import_recordings(*pair, tmp_path / "store", sample_rate=16_000)
    store = SampleStore.open(tmp_path / "store")
    assert store.manifest.sample_rate == 16_000
    assert report.seconds["validation"] == pytest.approx(4.8, abs=0.01)


def test_a_clipped_recording_is_warned_of(save: Save, tmp_path: Path) -> None:
    report = import_recordings(
        save("dry.wav", DRY), save("hot.wav", np.clip(4 * DRY, -1, 1)), tmp_path / "store"
    )
    assert report.wet_clipped > 100
    assert report.dry_clipped == 0
    assert any("hot.wav" in w and "clipped samples; record it at a lower level" in w for w in report.warnings)


def test_the_source_is_named_without_its_folder(pair: tuple[Path, Path], tmp_path: Path) -> None:
    import_recordings(*pair, tmp_path / "store")
    manifest = SampleStore.open(tmp_path / "store").manifest
    assert manifest.source == "recordings dry.wav and wet.wav"
    assert manifest.recipe is None


def test_the_same_pair_makes_the_same_store(pair: tuple[Path, Path], tmp_path: Path) -> None:
    import_recordings(*pair, tmp_path / "a")
    import_recordings(*pair, tmp_path / "b")
    assert [(tmp_path / s / "manifest.json").read_bytes() for s in "ab"] == [
        (tmp_path / "a" / "manifest.json").read_bytes()
    ] * 2


def folders(save: Save, tmp_path: Path, **pairs: Signal) -> tuple[Path, Path]:
    """A folder of dries and one of their wets, by stem, each wet in another format than its dry."""
    dry, wet = tmp_path / "dry", tmp_path / "wet"
    for folder in (dry, wet):
        folder.mkdir(exist_ok=True)
    for name, samples in pairs.items():
        save(f"dry/{name}.wav", samples, subtype="FLOAT")
        save(f"wet/{name}.flac", delayed(amp(samples), 300))
    return dry, wet


TAKES = {"a_riff": DRY[:, : 12 * RATE], "b_solo": OTHER, "c_chords": music(4, 7)}


def test_three_pairs_are_split_by_recording(save: Save, tmp_path: Path) -> None:
    report = import_recordings(*folders(save, tmp_path, **TAKES), tmp_path / "store")
    store = SampleStore.open(tmp_path / "store")
    names = [entry.name for entry in store.manifest.recordings]
    assert names == ["train-0-a_riff", "validation-0-b_solo", "test-0-c_chords"]
    assert [pair.name for pair in report.pairs] == list(TAKES)
    assert report.name == "a_riff"
    assert report.warnings == ()
    latencies = {entry.latency_samples for entry in store.manifest.recordings}
    assert latencies == {pair.latency_samples for pair in report.pairs} == {report.latency_samples}
    assert 240 <= report.latency_samples <= 300
    for split, take in zip(("train", "validation", "test"), TAKES.values(), strict=True):
        (recording,) = store.split(split)
        samples = take.shape[1] - report.latency_samples
        np.testing.assert_array_equal(recording.dry, take[:, :samples])
        assert report.seconds[split] == samples / RATE
    assert store.manifest.source == "recordings dry and wet"


def test_a_pair_of_another_latency_keeps_its_own_and_is_told_by_name(save: Save, tmp_path: Path) -> None:
    dry, wet = folders(save, tmp_path, **TAKES)
    save("wet/b_solo.flac", delayed(amp(OTHER), 900))
    report = import_recordings(dry, wet, tmp_path / "store")
    assert 840 <= report.pairs[1].latency_samples <= 900
    assert report.warnings == (f"b_solo: {report.pairs[1].warnings[0]}",)
    assert report.pairs[1].warnings[0].startswith("its latency is ")


def test_two_pairs_are_split_by_time_each(save: Save, tmp_path: Path) -> None:
    takes = {"a": DRY[:, : 12 * RATE], "b": DRY[:, 12 * RATE : 30 * RATE]}
    report = import_recordings(*folders(save, tmp_path, **takes), tmp_path / "store", latency_samples=300)
    store = SampleStore.open(tmp_path / "store")
    assert [len(spans(store, split)) for split in ("train", "validation", "test")] == [14, 6, 6]
    assert report.seconds["test"] == pytest.approx(0.12 * 30, abs=0.05)
    assert len({entry.name for entry in store.manifest.recordings}) == 26


def test_folders_may_be_the_test_split(save: Save, pair: tuple[Path, Path], tmp_path: Path) -> None:
    test = folders(save, tmp_path, x=OTHER, y=TAKES["c_chords"])
    report = import_recordings(*pair, tmp_path / "store", test=test)
    names = [recording.name for recording in SampleStore.open(tmp_path / "store").split("test")]
    assert names == ["test-0-x", "test-1-y"]
    assert [pair.name for pair in report.pairs] == ["dry", "x", "y"]
    assert [warning.split(":")[0] for warning in report.warnings] == ["test pair x", "test pair y"]


def test_all_pairs_take_the_rate_of_the_first_dry(save: Save, tmp_path: Path) -> None:
    dry, wet = folders(save, tmp_path, **TAKES)
    save("dry/b_solo.wav", resample(OTHER, RATE, 48_000), 48_000, subtype="FLOAT")
    import_recordings(dry, wet, tmp_path / "store")
    store = SampleStore.open(tmp_path / "store")
    assert store.manifest.sample_rate == RATE
    (solo,) = store.split("validation")
    assert esr(solo.dry, OTHER[:, : solo.dry.shape[1]]) < 1e-3


def test_a_recording_without_a_partner_is_named_and_nothing_is_left(save: Save, tmp_path: Path) -> None:
    dry, wet = folders(save, tmp_path, **TAKES)
    save("dry/d_extra.wav", OTHER)
    with pytest.raises(PairError, match=r"dry/d_extra\.wav has none in .*wet"):
        import_recordings(dry, wet, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_recording_that_repeats_itself_tells_the_floor_of_every_model(save: Save, tmp_path: Path) -> None:
    dry = np.concatenate([OTHER, DRY[:, : 20 * RATE], OTHER], axis=1)
    noisy = amp(dry) + np.random.default_rng(5).normal(0, 0.02, dry.shape)
    paths = save("dry.wav", dry, subtype="FLOAT"), save("wet.wav", noisy, subtype="FLOAT")
    report = import_recordings(*paths, tmp_path / "store")
    facts = inspect_store(SampleStore.open(tmp_path / "store"))
    settled = amp(OTHER)[:, 2 * RATE :]
    expected = 0.02**2 / (np.mean(settled**2) + 0.02**2)
    assert report.repeatability_esr == pytest.approx(expected, rel=0.1)
    assert report.repeated_seconds == pytest.approx(4, abs=0.3)
    assert facts.repeatability_esr == report.repeatability_esr
    assert facts.linearity_esr == pytest.approx(report.linearity_esr, rel=1e-6)


def test_a_split_that_repeats_training_is_told(save: Save, tmp_path: Path) -> None:
    dry = np.concatenate([DRY[:, : 10 * RATE], OTHER[:, : 3 * RATE], DRY[:, : 10 * RATE]], axis=1)
    paths = save("dry.wav", dry, subtype="FLOAT"), save("wet.wav", amp(dry), subtype="FLOAT")
    warnings = import_recordings(*paths, tmp_path / "store").warnings
    assert len(warnings) == 2
    assert all("repeats what training plays" in warning for warning in warnings)


def with_a_nan(samples: Signal) -> Signal:
    samples = samples.copy()
    samples[0, 1000] = np.nan
    return samples


REFUSED: dict[str, tuple[Signal, str]] = {
    "silent": (np.zeros_like(DRY), r"wet\.wav is silent"),
    "constant": (np.full_like(DRY, 0.5), r"wet\.wav is silent"),
    "nan": (with_a_nan(DRY), r"wet\.wav has 1 NaN or infinite samples, the first at 0\.045 s"),
    "shorter": (DRY[:, : -2 * RATE], r"must be of one length, give or take 1 s; got 40\.00 s and 38\.00 s"),
    "other": (amp(music(3, 40)), "must belong together"),
}


@pytest.mark.parametrize(("wet", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_pair_is_refused_and_leaves_nothing(
    save: Save, tmp_path: Path, wet: Signal, message: str
) -> None:
    paths = save("dry.wav", DRY), save("wet.wav", wet, subtype="FLOAT")
    with pytest.raises(AudioError, match=message):
        import_recordings(*paths, tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dry.wav", "wet.wav"]


def test_a_silent_dry_is_refused(save: Save, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"dry\.wav is silent"):
        import_recordings(save("dry.wav", np.zeros_like(DRY)), save("wet.wav", DRY), tmp_path / "store")


def test_a_missing_or_foreign_file_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav does not exist"):
        import_recordings(pair[0], tmp_path / "gone.wav", tmp_path / "store")
    (tmp_path / "notes.wav").write_text("words")
    with pytest.raises(AudioError, match=r"notes\.wav cannot be read as audio"):
        import_recordings(pair[0], tmp_path / "notes.wav", tmp_path / "store")


def test_less_than_ten_seconds_cannot_be_split(save: Save, tmp_path: Path) -> None:
    short = DRY[:, : 9 * RATE]
    with pytest.raises(PairError, match=r"must last 10 s to be split; got 9\.00 s; record more"):
        import_recordings(save("dry.wav", short), save("wet.wav", amp(short)), tmp_path / "store")


def test_ten_seconds_leave_half_for_training(save: Save, tmp_path: Path) -> None:
    short = DRY[:, : 10 * RATE]
    report = import_recordings(save("dry.wav", short), save("wet.wav", amp(short)), tmp_path / "store")
    assert report.seconds["train"] > 5.0
    assert report.seconds["test"] == report.seconds["validation"] == pytest.approx(1.2, abs=0.01)


def test_a_split_in_which_nothing_sounds_is_refused(save: Save, tmp_path: Path) -> None:
    dry = DRY.copy()
    dry[:, 15 * RATE :] = 0
    for block in (0, 1, 2):  # the validation blocks: a sixth of the recording each, every other one
        centre = round((2 * block + 0.5) * dry.shape[1] / 6)
        dry[:, centre - 2 * RATE : centre + 2 * RATE] = 0
    with pytest.raises(PairError, match=r"dry of what would be the validation split is silent.*long pauses"):
        import_recordings(save("dry.wav", dry), save("wet.wav", amp(dry)), tmp_path / "store")


def test_an_existing_store_is_refused_before_the_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "manifest.json").write_text("{}")
    with pytest.raises(OutputExistsError):
        import_recordings(tmp_path / "gone.wav", tmp_path / "gone.wav", tmp_path / "store")


def test_a_latency_longer_than_the_recording_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(PairError, match="shorter than half the recording; got 900000 samples"):
        import_recordings(*pair, tmp_path / "store", latency_samples=900_000)
