"""Dropouts: found where samples are lost, and not where an effect holds them."""

import numpy as np
import pytest

from datasets.dropouts import find_dropouts
from fxcore.audio import Signal
from fxcore.effects.distortion import Distortion
from fxcore.effects.fuzz import Fuzz
from fxcore.generators.pluck import Pluck
from fxcore.generators.track import Track

RATE = 22_050
DRY = Track(segments=1, segment_seconds=12, generators=(Pluck(),)).render(RATE, np.random.default_rng(3))
WET = Distortion()(DRY, RATE)
LOUD = np.flatnonzero(np.abs(WET[0]) > 0.3 * np.abs(WET).max())
PLACES = LOUD[[len(LOUD) // 5, len(LOUD) // 2, 4 * len(LOUD) // 5]]


def broken(wet: Signal, samples: int, held: bool) -> Signal:
    wet = wet.copy()
    for place in PLACES:
        wet[0, place : place + samples] = wet[0, place - 1] * 0.5 if held else 0.0
    return wet


@pytest.mark.parametrize("samples", [64, 512, 4096])
@pytest.mark.parametrize("held", [True, False])
def test_lost_samples_are_found_where_they_are(samples: int, held: bool) -> None:
    found = find_dropouts(DRY, broken(WET, samples, held), RATE)
    assert [round(dropout.start_s * RATE) for dropout in found] == pytest.approx(PLACES, abs=2)
    assert all(dropout.seconds * RATE == pytest.approx(samples, abs=4) for dropout in found)


@pytest.mark.parametrize("held", [True, False])
def test_half_a_millisecond_of_a_tone_is_enough(held: bool) -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)[None].astype(np.float32)
    start = round(1.00125 * RATE)  # at an eighth of a period: 0.7 and rising
    wet = tone.copy()
    wet[0, start : start + 12] = tone[0, start - 1] if held else 0.0
    (found,) = find_dropouts(tone, wet, RATE)
    assert found.start_s == pytest.approx(1.00125, abs=1.5 / RATE)
    assert found.seconds == pytest.approx(12 / RATE, abs=1.5 / RATE)
    assert find_dropouts(tone, tone, RATE) == []


def test_nearly_silent_samples_are_as_lost_as_silent_ones() -> None:
    dither = np.random.default_rng(0).integers(-1, 2, WET.shape) / 2**15
    wet = (np.round(broken(WET, 512, held=False) * 2**15) / 2**15 + dither).astype(np.float32)
    assert len(find_dropouts(DRY, wet, RATE)) == len(PLACES)


def held_over(samples: int) -> Signal:
    return np.repeat(WET[:, ::samples], samples, axis=1)[:, : WET.shape[1]]


EFFECTS: dict[str, Signal] = {
    "distortion": WET,
    "fuzz": Fuzz()(DRY, RATE),
    "hard clip": np.clip(50 * DRY, -0.5, 0.5),
    "asymmetric clip": np.clip(50 * DRY, -0.1, 0.8),
    "square": 0.5 * np.sign(DRY),
    "half-wave rectifier": np.maximum(DRY, 0),
    "dead zone": np.sign(DRY) * np.maximum(np.abs(DRY) - 0.05, 0),
    "bit crusher": np.round(DRY * 8) / 8,
    "sample and hold": held_over(16),
    "16 bits, quiet": np.round(0.01 * DRY * 2**15) / 2**15,
}


@pytest.mark.parametrize("wet", EFFECTS.values(), ids=list(EFFECTS))
def test_what_an_effect_holds_is_no_dropout(wet: Signal) -> None:
    assert find_dropouts(DRY, wet.astype(np.float32), RATE) == []


def test_silence_where_the_dry_is_silent_is_no_dropout() -> None:
    place = int(PLACES[1])
    dry = DRY.copy()
    dry[:, place - 64 : place + 600] = 0
    wet = WET.copy()
    wet[:, place : place + 512] = 0
    assert find_dropouts(dry, wet, RATE) == []
    assert len(find_dropouts(DRY, wet, RATE)) == 1


def test_a_pause_is_no_dropout() -> None:
    wet = WET.copy()
    wet[:, RATE * 4 : RATE * 6] = 0
    assert find_dropouts(DRY, wet, RATE) == []
