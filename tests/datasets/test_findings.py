"""Findings: each fault of a recording is told in its line, and a sound recording has none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from datasets.findings import Examined, PairReport, examine
from datasets.pairing import PairPaths
from datasets.pairs import load_pair
from fxcore.audio import Signal, resample
from fxcore.effects.chorus import Chorus
from fxcore.errors import PairError
from fxcore.generators.pluck import Pluck
from fxcore.generators.track import Track

RATE = 22_050
SECONDS = 20
Examine = Callable[..., Examined]

PLUCKS = Track(segments=1, segment_seconds=SECONDS, generators=(Pluck(),), gap_share=(0.0, 0.0))
DRY = 0.4 * PLUCKS.render(RATE, np.random.default_rng(1))
DRY[:, 4 * RATE : 6 * RATE] = 0  # a pause
WET = (0.8 * np.tanh(4 * DRY)).astype(np.float32)
MIDDLE = DRY.shape[1] // 2


@pytest.fixture
def look(tmp_path: Path) -> Examine:
    """Write both sides as float wav, load and examine them."""

    def write_and_examine(
        wet: Signal, dry: Signal = DRY, wet_rate: int = RATE, common: int | None = None, **options: Any
    ) -> Examined:
        soundfile.write(tmp_path / "di.wav", dry.T, RATE, subtype="FLOAT")
        soundfile.write(tmp_path / "amp.wav", np.asarray(wet, np.float32).T, wet_rate, subtype="FLOAT")
        pair = load_pair(PairPaths("di", tmp_path / "di.wav", tmp_path / "amp.wav"), **options)
        return examine(pair, pair.alignment.latency_samples if common is None else common)

    return write_and_examine


def late(samples: Signal, by: int) -> Signal:
    return np.pad(samples, ((0, 0), (by, 0)))[:, : samples.shape[1]]


def noise(level_db: float) -> Signal:
    """Against the wet's peak."""
    return np.abs(WET).max() * 10 ** (level_db / 20) * np.random.default_rng(2).normal(0, 1, WET.shape)


def with_a_hole(wet: Signal) -> Signal:
    loud = np.flatnonzero(np.abs(wet[0]) > 0.5 * np.abs(wet).max())
    place = int(loud[len(loud) // 2])
    wet = wet.copy()
    wet[:, place : place + 512] = 0
    return wet


def on_another_clock(ppm: float) -> Signal:
    return soxr.resample(WET[0], 1e6, 1e6 + ppm, quality="VHQ")[None, : WET.shape[1]]


def test_a_sound_recording_has_no_warnings(look: Examine) -> None:
    report = look(WET + noise(-80)).report
    assert report.warnings == ()
    assert report.noise_floor_db == pytest.approx(-80, abs=1)
    assert report.drift_samples == report.drift_ppm == 0.0
    assert report.dropouts == 0
    assert PairReport.from_dict(report.as_dict()) == report


def test_the_latency_is_removed_whole_and_told_to_a_fraction(look: Examine) -> None:
    assert look(late(WET, 1000)).report.fine_latency_samples == pytest.approx(1000, abs=0.1)
    half = 0.5 * (late(WET, 700) + late(WET, 701))
    assert look(half).report.fine_latency_samples == pytest.approx(700.5, abs=0.05)


def test_a_latency_that_is_given_has_a_fraction_too(look: Examine) -> None:
    report = look(0.5 * (late(WET, 20) + late(WET, 21)), latency_samples=18).report
    assert report.latency_samples == 18
    assert report.fine_latency_samples == pytest.approx(20.5, abs=0.05)


FAULTS: dict[str, tuple[Signal, str]] = {
    "offset": (WET + 0.01, "wet amp.wav: a DC offset of -40 dBFS"),
    "dropout": (
        with_a_hole(WET),
        "wet amp.wav: a dropout (silent or held samples in mid-sound), the first at ",
    ),
    "noise": (WET + noise(-50), "the wet has noise at -50 dB of its peak where the dry is silent"),
    "upside down": (-WET, "the wet is upside down against the dry"),
    "clipping": (np.clip(8 * WET, -1, 1), "wet amp.wav: "),
    "another clock": (on_another_clock(50), "the latency drifts by +2"),
    "another clock, ahead": (on_another_clock(-50), "the latency drifts by -2"),
    "lost samples": (
        np.concatenate([WET[:, :MIDDLE], WET[:, MIDDLE + 256 :]], axis=1),
        "the latency jumps by -256 samples between ",
    ),
}


@pytest.mark.parametrize(("wet", "warning"), FAULTS.values(), ids=list(FAULTS))
def test_each_fault_is_told_alone(look: Examine, wet: Signal, warning: str) -> None:
    (told,) = look(wet).report.warnings
    assert told.startswith(warning)
    assert "\n" not in told


def test_the_dry_has_faults_too(look: Examine) -> None:
    assert look(WET, DRY - 0.02).report.warnings[0].startswith("dry di.wav: a DC offset of -34 dBFS")


@pytest.mark.parametrize("ppm", [100.0, -100.0])
@pytest.mark.parametrize("latency", [0, 900])
def test_under_drift_the_latency_is_that_of_the_start(look: Examine, ppm: float, latency: int) -> None:
    report = look(late(np.asarray(on_another_clock(ppm)), latency)).report
    assert report.latency_samples == pytest.approx(latency, abs=60)
    assert report.drift_ppm == pytest.approx(ppm, rel=0.05)
    assert report.drift_samples == pytest.approx(ppm * 1e-6 * SECONDS * RATE, rel=0.05)
    assert not any("waveforms do not match" in warning for warning in report.warnings)


def test_dropouts_are_found_at_the_wets_own_rate_and_time(look: Examine) -> None:
    wet = resample(late(WET, 2000), RATE, 48_000)
    start = int(np.flatnonzero(np.abs(wet[0]) > 0.5 * wet.max())[-100])
    wet[:, start : start + 1024] = 0
    report = look(wet, wet_rate=48_000).report
    assert report.dropouts == 1
    assert f"at {start / 48_000:.3f} s for 21.3 ms" in report.warnings[0]


def test_a_latency_nearly_that_of_the_others_is_taken_and_another_is_told(look: Examine) -> None:
    own = look(late(WET, 500)).report.latency_samples
    near = look(late(WET, 500), common=own + 20)
    assert near.report.latency_samples == own + 20
    assert near.report.warnings == ()
    far = look(late(WET, 500), common=own + 400)
    assert far.report.latency_samples == own
    assert far.report.warnings == (f"its latency is {own} samples, not {own + 400}",)


def test_repeats_are_found_at_the_drys_own_rate(look: Examine) -> None:
    """At another rate a copy lies a fraction of a sample later, and would be none."""
    dry = DRY.copy()
    dry[:, 10_001 + 8 * RATE : 10_001 + 14 * RATE] = dry[:, 7 * RATE : 13 * RATE]
    dry[:, : 7 * RATE] = 0.5 * DRY[:, 13 * RATE :]
    found = look(Chorus()(dry, RATE), dry, sample_rate=16_000)
    (repeat,) = found.repeats
    assert (repeat.again - repeat.start) / 16_000 == pytest.approx(1 + 10_001 / RATE, abs=1e-4)
    assert found.repeatability.esr is not None
    assert found.repeatability.esr > 0.05
    assert found.report.repeated_seconds > 0.5


def test_another_signal_is_still_refused(look: Examine) -> None:
    other = PLUCKS.render(RATE, np.random.default_rng(7))
    with pytest.raises(PairError, match="must belong together"):
        look(other)
