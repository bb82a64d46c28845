"""Repeats: found to the sample wherever they lie; and the floor they set, against closed forms."""

import numpy as np
import pytest

from datasets.repeats import Repeat, Repeatability, find_repeats, pooled, repeatability
from fxcore.audio import Signal
from fxcore.effects.chorus import Chorus
from fxcore.effects.reverb import Reverb
from fxcore.generators.pluck import Pluck
from fxcore.generators.track import Track

RATE = 22_050


def music(seed: int, seconds: float) -> Signal:
    track = Track(segments=1, segment_seconds=seconds, generators=(Pluck(),), gap_share=(0.0, 0.0))
    return track.render(RATE, np.random.default_rng(seed))


def noise(seed: int, seconds: float, level: float = 0.1) -> Signal:
    return np.random.default_rng(seed).normal(0, level, (1, round(seconds * RATE))).astype(np.float32)


def silence(samples: int) -> Signal:
    return np.zeros((1, samples), np.float32)


def joined(*parts: Signal) -> Signal:
    return np.concatenate(parts, axis=1)


BODY = music(1, 20)
SECTION = {"music": music(2, 3), "noise": noise(3, 3)}


@pytest.mark.parametrize("section", SECTION.values(), ids=list(SECTION))
@pytest.mark.parametrize("offset", [0, 1, 12_345])
def test_a_section_that_is_played_again_is_found_to_the_sample(section: Signal, offset: int) -> None:
    dry = joined(silence(offset), section, BODY, section)
    (found,) = find_repeats(dry, RATE)
    assert found.again - found.start == section.shape[1] + BODY.shape[1]
    assert found.start >= offset - 0.01 * RATE
    assert found.samples == pytest.approx(section.shape[1], abs=0.2 * RATE)  # less its silent ends
    np.testing.assert_array_equal(
        dry[:, found.start : found.start + found.samples], dry[:, found.again : found.again + found.samples]
    )


def test_a_reamping_file_needs_nothing_special() -> None:
    """Validation section, silence, two impulses, music, and the validation section again."""
    blips = silence(2 * RATE)
    blips[0, [RATE // 2, 3 * RATE // 2]] = 1.0
    section = joined(music(2, 4), noise(3, 2), silence(RATE))
    (found,) = find_repeats(joined(section, blips, BODY, section), RATE)
    assert found.samples == pytest.approx(6 * RATE, abs=0.2 * RATE)


def test_three_plays_are_three_couples() -> None:
    found = find_repeats(joined(SECTION["noise"], BODY, *[SECTION["noise"]] * 2), RATE)
    assert len({repeat.again - repeat.start for repeat in found}) == 3


def test_a_repeat_with_the_dither_of_16_bits_is_one() -> None:
    dry = joined(SECTION["noise"], BODY, SECTION["noise"])
    rounded = np.round(dry * 2**15 + np.random.default_rng(0).uniform(-1, 1, dry.shape)) / 2**15
    (found,) = find_repeats(rounded.astype(np.float32), RATE)
    assert found.samples == pytest.approx(3 * RATE, abs=0.1 * RATE)


NO_REPEATS: dict[str, Signal] = {
    "music": BODY,
    "noise": noise(4, 20),
    "silence": silence(5 * RATE),
    "a quarter of a second": joined(SECTION["noise"][:, : RATE // 4], BODY, SECTION["noise"]),
    "another level": joined(SECTION["noise"], BODY, 0.9 * SECTION["noise"]),
    "upside down": joined(SECTION["noise"], BODY, -SECTION["noise"]),
    "another take": joined(SECTION["noise"], BODY, SECTION["noise"] + noise(5, 3, 0.001)),
    "a steady tone": np.sin(2 * np.pi * np.arange(10 * RATE) / 105)[None].astype(np.float32),
    "a clipped tone": np.sign(np.sin(2 * np.pi * np.arange(10 * RATE) / 105))[None].astype(np.float32),
    "impulses": np.where(np.arange(10 * RATE) % RATE == 7, np.float32(1), np.float32(0))[None],
    "a short one": noise(4, 0.3),
}


@pytest.mark.parametrize("dry", NO_REPEATS.values(), ids=list(NO_REPEATS))
def test_what_does_not_repeat_has_no_repeats(dry: Signal) -> None:
    assert find_repeats(dry, RATE) == []


def test_a_wet_that_repeats_has_no_floor() -> None:
    wet = noise(0, 10)
    wet[:, 5 * RATE :] = wet[:, : 5 * RATE]
    found = repeatability(wet, [Repeat(0, 5 * RATE, 5 * RATE)], RATE)
    assert found.esr == 0.0
    assert found.seconds == pytest.approx(3.0)  # two are left out


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_the_floor_is_the_share_of_what_is_new_each_time(share: float) -> None:
    """Of energy 1, a part 1 - share comes again; its mean over many plays has an ESR of share."""
    same, first, second = (noise(seed, 12) for seed in range(3))
    wet = joined(*(np.sqrt(1 - share) * same + np.sqrt(share) * new for new in (first, second)))
    found = repeatability(wet, [Repeat(0, 12 * RATE, 12 * RATE)], RATE)
    assert found.esr == pytest.approx(share, rel=0.03)


def test_the_start_of_a_repeat_is_left_out() -> None:
    wet = joined(noise(0, 1), noise(1, 1), noise(2, 1), noise(1, 1))  # other tails, then the same
    assert repeatability(wet, [Repeat(0, 2 * RATE, 2 * RATE)], RATE).esr == 0.0


def test_nothing_repeated_is_no_floor_and_no_error() -> None:
    assert repeatability(noise(0, 1), [], RATE) == Repeatability(0.0, 0.0, 0.0)
    assert repeatability(noise(0, 1), [], RATE).esr is None
    assert pooled([]).esr is None


def test_pairs_are_pooled_by_energy() -> None:
    found = pooled([Repeatability(1.0, 2.0, 3.0), Repeatability(0.0, 6.0, 1.0)])
    assert found == Repeatability(1.0, 8.0, 4.0)
    assert found.esr == 0.125


def test_an_lfo_sets_a_floor_and_a_tail_does_not() -> None:
    section = music(2, 6)
    dry = joined(section, BODY, section)
    repeats = find_repeats(dry, RATE)
    chorus, reverb = (repeatability(effect(dry, RATE), repeats, RATE).esr for effect in (Chorus(), Reverb()))
    assert chorus is not None
    assert reverb is not None
    assert chorus > 0.05
    assert reverb < 1e-4
