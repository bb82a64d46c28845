"""What holds for every effect in the registry, as its recipe sets it up.

A recipe that needs a program or plug-in of others is always parsed, and played with the `hosts` tests.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from fxcore.audio import Signal
from fxcore.effects import EFFECTS, Effect
from fxcore.effects.outside import OutsideEffect
from fxcore.errors import AudioError
from fxcore.generators.track import Track

SAMPLE_RATE = 44_100
RECIPES = sorted((Path(__file__).parents[2] / "examples" / "recipes").glob("*.yaml"))
EFFECT_OF = {path.stem: EFFECTS.parse(yaml.safe_load(path.read_text("utf-8"))["effect"]) for path in RECIPES}


def needs_a_host(effect: Effect) -> bool:
    """Whether something outside Python has to be installed."""
    return isinstance(effect, OutsideEffect) and not getattr(effect, "command", "").startswith("{python}")


PARSED = pytest.mark.parametrize("effect", EFFECT_OF.values(), ids=EFFECT_OF)
EVERY = pytest.mark.parametrize(
    "effect",
    [
        pytest.param(effect, id=name, marks=[pytest.mark.hosts] if needs_a_host(effect) else [])
        for name, effect in EFFECT_OF.items()
    ],
)


def note() -> Signal:
    """A quarter of a second of chords, after a quarter of silence, (1, T)."""
    track = Track(segments=1, segment_seconds=0.25, level_dbfs=(-6, -6), gap_share=(0, 0))
    return np.pad(track.render(SAMPLE_RATE, np.random.default_rng(0)), [(0, 0), (SAMPLE_RATE // 4, 0)])


def test_every_kind_has_a_recipe() -> None:
    assert {effect.kind for effect in EFFECT_OF.values()} == set(EFFECTS)


@EVERY
@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 96_000])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 500, 20_011])
def test_the_wet_is_finite_and_as_long_as_the_dry(effect: Effect, n_samples: int, sample_rate: int) -> None:
    dry = np.random.default_rng(0).uniform(-1, 1, (1, n_samples)).astype(np.float32)
    wet = effect(dry, sample_rate)
    assert wet.shape == dry.shape
    assert wet.dtype == np.float32
    assert np.isfinite(wet).all()


@EVERY
def test_the_same_dry_gives_the_same_wet_and_stays_as_it_was(effect: Effect) -> None:
    dry = note()
    first = effect(dry, SAMPLE_RATE)
    assert np.array_equal(dry, note())
    assert np.array_equal(first, effect(dry, SAMPLE_RATE))


@EVERY
def test_the_wet_differs_from_the_dry(effect: Effect) -> None:
    dry = note()
    assert np.linalg.norm(effect(dry, SAMPLE_RATE) - dry) > 0.05 * np.linalg.norm(dry)


@EVERY
def test_the_wet_begins_where_the_dry_begins(effect: Effect) -> None:
    onset, onset_wet = (
        int(np.argmax(np.abs(signal[0]) > 0.05 * np.abs(signal).max()))
        for signal in (note(), effect(note(), SAMPLE_RATE))
    )
    assert abs(onset_wet - onset) < 0.015 * SAMPLE_RATE  # a phase vocoder blurs by 10 ms


@EVERY
def test_silence_stays_silent(effect: Effect) -> None:
    wet = effect(np.zeros((1, 5_000), np.float32), SAMPLE_RATE)
    assert np.abs(wet).max() < 1e-9  # -180 dB: plug-ins add a trace to keep their numbers normal


@EVERY
def test_full_scale_in_gives_less_than_ten_times_full_scale_out(effect: Effect) -> None:
    square = np.sign(np.sin(2 * np.pi * 110 / SAMPLE_RATE * np.arange(30_000) + 0.1)).astype(np.float32)
    assert np.abs(effect(square[None], SAMPLE_RATE)).max() < 10


@EVERY
def test_what_was_played_is_plain_json_with_every_setting(effect: Effect) -> None:
    played = effect.as_played(SAMPLE_RATE)
    assert json.loads(json.dumps(played, allow_nan=False)) == played
    assert set(effect.as_dict()) <= set(played)


@PARSED
def test_a_spec_survives_json(effect: Effect) -> None:
    parsed = EFFECTS.parse(json.loads(json.dumps(effect.as_dict())))
    assert parsed == effect
    assert parsed.digest() == effect.digest()


@PARSED
def test_what_is_not_one_channel_of_finite_samples_is_refused(effect: Effect) -> None:
    with pytest.raises(AudioError, match="one channel"):
        effect(np.zeros((2, 100), np.float32), SAMPLE_RATE)
    with pytest.raises(AudioError, match="one channel"):
        effect(np.zeros(100, np.float32), SAMPLE_RATE)
    with pytest.raises(AudioError, match="no samples"):
        effect(np.zeros((1, 0), np.float32), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"1 NaN or infinite samples, the first at 0\.001 s"):
        effect(np.where(np.arange(1_000) == 44, np.nan, 0.0).astype(np.float32)[None], SAMPLE_RATE)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_track_of_a_recipe_is_valid(path: Path) -> None:
    recipe = yaml.safe_load(path.read_text("utf-8"))
    track = Track.from_dict(recipe["track"])
    seconds = sum(recipe["splits"].values()) * track.n_samples(recipe["sample_rate"]) / recipe["sample_rate"]
    assert 120 <= seconds <= 600


def test_no_two_recipes_share_a_digest() -> None:
    assert len({effect.digest() for effect in EFFECT_OF.values()}) == len(RECIPES)
