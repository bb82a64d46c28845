import math

import numpy as np
import pytest
import torch

from fxcore.audio import Recording
from fxcore.models.ballistics import KNOTS, Array, compiled, rest
from fxcore.models.dynamics import Dynamics, DynamicsSpec
from fxcore.models.dynamics_curve import smooth_bend
from fxcore.models.dynamics_fit import fit_dynamics
from fxcore.training.cost import measure_cost

SAMPLE_RATE = 8_000
LAWS = {"level": 0.0, "power": 1.0, "gain": 2.0}


def settings(
    *,
    window: float = 1.0,
    attack: float = 0.0,
    release: float = 0.0,
    smooth: float = 0.0,
    threshold_db: float = -12.0,
    ratio: float = 4.0,
    knee_db: float = 0.0,
    gain: float = 1.0,
    law: str = "level",
    feedback: bool = False,
) -> Array:
    """As `ballistics.play` takes them; times in samples."""
    slope = 1 - 1 / ratio
    values = [window, attack, release, smooth, threshold_db, slope, knee_db, gain, LAWS[law], feedback]
    return np.array(values, np.float64)


def play(dry: Array, of: Array, bend_db: Array | None = None) -> Array:
    """Wet (T,) of dry (T,) after silence."""
    bend_db = np.zeros(KNOTS) if bend_db is None else bend_db
    return compiled().play(dry[None], of, bend_db, *rest(1, int(of[0])))[0]


def phrases(seconds: float, seed: int = 0) -> Array:
    """Noise whose level jumps every tenth of a second, by up to 40 dB."""
    rng = np.random.default_rng(seed)
    jumps = rng.uniform(-40.0, 0.0, math.ceil(10 * seconds))
    return rng.standard_normal(round(seconds * SAMPLE_RATE)) * np.repeat(
        10 ** (jumps / 20), SAMPLE_RATE // 10
    )


def pair(of: Array, seconds: float, seed: int = 0, bend_db: Array | None = None) -> Recording:
    dry = phrases(seconds, seed)
    return Recording("pair", np.float32(dry[None]), np.float32(play(dry, of, bend_db)[None]))


@pytest.mark.parametrize(
    ("level_db", "expected_db"),
    [(-40.0, 0.0), (-15.1, 0.0), (-12.0, -0.75 * 0.75), (-9.0, -2.25), (0.0, -9.0), (12.0, -18.0)],
)
def test_a_steady_level_leaves_at_its_place_on_the_curve(level_db: float, expected_db: float) -> None:
    """Giannoulis, Massberg & Reiss (2012), equation 4: threshold -12 dB, 4:1, a knee of 6 dB."""
    steady = np.full(50, 10 ** (level_db / 20))
    wet = play(steady, settings(knee_db=6.0))
    np.testing.assert_allclose(20 * np.log10(wet[-1] / steady[-1]), expected_db, atol=1e-9)


def test_a_sine_through_a_root_mean_square_of_whole_periods_is_turned_down_as_a_whole() -> None:
    sine = np.sin(2 * np.pi * np.arange(400) / 40)
    wet = play(sine, settings(window=40.0))
    gain_db = -0.75 * (20 * np.log10(np.sqrt(0.5)) + 12)
    np.testing.assert_allclose(wet[40:], 10 ** (gain_db / 20) * sine[40:], rtol=0, atol=1e-12)


def test_a_window_between_two_lengths_lies_between_them() -> None:
    click = np.zeros(30)
    click[5] = 10.0
    shorter, between, longer = (play(click + 1.0, settings(window=w)) for w in (4.0, 4.5, 5.0))
    np.testing.assert_allclose(between[10:], shorter[10:], atol=1e-9)  # the click has left
    assert shorter[9] == longer[11] > between[9] > longer[9]


@pytest.mark.parametrize("law", ["level", "power", "gain"])
def test_attack_and_release_fall_to_a_third_in_their_time(law: str) -> None:
    """What a one-pole filter holds decays by 1/e in its time constant, on the way up and down."""
    attack, release = 50, 400
    dry = np.concatenate([np.full(2_000, 1e-3), np.ones(2_000), np.full(2_000, 0.1)])
    wet = play(dry, settings(attack=attack, release=release, law=law, threshold_db=-60.0, ratio=2.0))
    gain_db = 20 * np.log10(wet / dry)
    low, high, end = gain_db[1_999], gain_db[3_999], -20.0
    level = {"level": 20, "power": 10}.get(law)
    held = 10 ** ((-2 * gain_db - 60) / level) if level else gain_db
    low, high, end = (held[n] for n in (1_999, 3_999, 5_999))
    assert held[1_999 + attack] == pytest.approx(high + (low - high) / math.e, abs=2e-3 * abs(high - low))
    assert held[3_999 + release] == pytest.approx(end + (high - end) / math.e, abs=1e-2 * abs(high - end))


def test_feedback_compresses_less_than_its_curve() -> None:
    """The detector hears the compressed level: out = in - slope (out - threshold)."""
    wet = play(np.ones(2_000), settings(attack=20.0, release=20.0, feedback=True))
    np.testing.assert_allclose(20 * np.log10(wet[-1]), -12 + 12 / 1.75, atol=1e-6)


def test_a_running_mean_forgets_what_was_loud() -> None:
    dry = np.concatenate([1e4 * np.ones(100), np.full(5_000, 1e-4)])
    wet = play(dry, settings(window=64.0, threshold_db=-100.0))
    np.testing.assert_allclose(20 * np.log10(wet[-1] / dry[-1]), -0.75 * 20, atol=1e-6)


@pytest.mark.parametrize(
    "of",
    [
        settings(attack=9.0, release=300.0, threshold_db=-18.0),
        settings(window=60.0, attack=20.0, release=500.0, knee_db=9.0, ratio=8.0, gain=-2.5, smooth=4.0),
        settings(attack=40.0, release=700.0, law="power", ratio=100.0),
        settings(attack=30.0, release=400.0, law="gain", ratio=3.0, knee_db=4.0),
        settings(attack=30.0, release=900.0, ratio=6.0, feedback=True, gain=1.5),
    ],
    ids=["peak", "rms_smoothed_inverted", "limiter", "gain", "feedback"],
)
def test_a_compressor_is_found_again(of: Array) -> None:
    fitted = fit_dynamics([pair(of, 4.0)], SAMPLE_RATE, dry_scale=0.3, wet_scale=0.2)
    other = pair(of, 2.0, seed=1)
    pred = 0.2 * play(other.dry[0] / 0.3, fitted.settings, fitted.bend_db)
    error = np.square(pred - other.wet[0]).sum() / np.square(other.wet[0], dtype=np.float64).sum()
    assert error < 1e-5


def test_what_no_threshold_explains_bends_the_curve() -> None:
    """A compressor that is a gate as well: below -30 dB it turns down too."""
    levels_db = -120.0 + 3.0 * np.arange(KNOTS)
    gate_db = np.minimum(levels_db + 30.0, 0.0).clip(-20.0)
    of = settings(window=80.0, attack=20.0, release=200.0, threshold_db=-10.0)
    data = [pair(of, 4.0, bend_db=gate_db)]
    fitted = fit_dynamics(data, SAMPLE_RATE, dry_scale=1.0, wet_scale=1.0)
    assert fitted.bend_db.any()
    assert fitted.esr < 1e-4


def test_a_bend_runs_through_what_is_known_and_stays_smooth_elsewhere() -> None:
    levels_db = np.arange(-60.0, 0.0, 0.5)
    bend_db = smooth_bend(levels_db, 0.1 * levels_db, np.ones(len(levels_db)))
    np.testing.assert_allclose(bend_db[20:41], 0.1 * np.arange(-60.0, 3.0, 3.0), atol=0.02)
    assert np.abs(bend_db).max() < 10.0


def test_one_law_alone_can_be_asked_for() -> None:
    model = DynamicsSpec(law="power", max_window_samples=1).build(torch.Generator())
    model.set_scale(1.0, 1.0)
    model.initialise([pair(settings(attack=9.0, release=90.0), 2.0)], SAMPLE_RATE, torch.Generator())
    assert isinstance(model, Dynamics)
    assert model.structure[0] == LAWS["power"]
    assert model.settings[0] == 1.0


def test_silence_can_be_fitted() -> None:
    silence = np.zeros((1, SAMPLE_RATE), np.float32)
    model = DynamicsSpec().build(torch.Generator())
    model.set_scale(0.0, 0.0)
    model.initialise([Recording("silence", silence, silence)], SAMPLE_RATE, torch.Generator())
    assert model.predict(torch.ones(1, 1, 100)).isfinite().all()


def test_blocks_of_64_samples_are_played_faster_than_they_last() -> None:
    assert measure_cost(DynamicsSpec().build(torch.Generator()), 48_000).realtime_factor > 1.0
