"""Probes: closed forms of linearity and repeatability, played and recorded."""

from typing import Literal

import numpy as np
import pytest
from scipy import signal

from datasets.probes import esr, incoherent_share, play_probes
from fxcore.audio import Recording, Signal
from fxcore.effects import Effect
from fxcore.effects.chorus import Chorus
from fxcore.effects.delay import Delay
from fxcore.effects.distortion import Distortion
from fxcore.effects.lowpass import LowPass

RATE = 8000
NOISE = np.random.default_rng(0).normal(0, 0.1, (1, 60 * RATE)).astype(np.float32)


def test_esr_of_silence_is_one_and_of_the_wet_zero() -> None:
    assert esr(np.zeros_like(NOISE), NOISE) == 1.0
    assert esr(NOISE, NOISE) == 0.0


def test_a_filter_is_linear_and_repeats() -> None:
    probes = play_probes(LowPass(), NOISE[:, : 2 * RATE], RATE)
    assert probes.linearity_esr == pytest.approx(0.0, abs=1e-9)
    assert probes.repeatability_esr == pytest.approx(0.0, abs=1e-9)


def test_a_distortion_is_not_linear_but_repeats() -> None:
    probes = play_probes(Distortion(), NOISE[:, : 2 * RATE], RATE)
    assert probes.linearity_esr is not None
    assert probes.linearity_esr > 0.01
    assert probes.repeatability_esr == pytest.approx(0.0, abs=1e-6)


def test_a_chorus_is_linear_but_another_one_later() -> None:
    probes = play_probes(Chorus(), NOISE[:, : 2 * RATE], RATE)
    assert probes.linearity_esr == pytest.approx(0.0, abs=1e-9)
    assert probes.repeatability_esr is not None
    assert probes.repeatability_esr > 0.05


class Asleep(Effect):
    """Plays on, but not after silence."""

    kind: Literal["asleep"] = "asleep"

    def process(self, dry: Signal, sample_rate: int) -> Signal:
        return dry if dry[0, 0] else 0 * dry


def test_repeatability_is_what_the_mean_of_two_plays_leaves() -> None:
    """One play sounds, one does not: half the sound misses both by a quarter of its energy."""
    assert play_probes(Asleep(), NOISE[:, :RATE], RATE).repeatability_esr == pytest.approx(0.5)


def recorded(wet: Signal) -> list[Recording]:
    return [Recording("train-0", NOISE, wet.astype(np.float32))]


def test_a_filtered_recording_is_coherent() -> None:
    share = incoherent_share(recorded(signal.lfilter(*signal.butter(2, 0.2), NOISE)))
    assert share == pytest.approx(0.0, abs=2e-3)


def test_an_echo_shorter_than_a_window_is_coherent() -> None:
    assert incoherent_share(recorded(Delay(delay_seconds=0.02)(NOISE, RATE))) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_incoherent_share_is_that_of_added_noise(share: float) -> None:
    other = np.random.default_rng(1).normal(0, 0.1, NOISE.shape)
    wet = np.sqrt(1 - share) * NOISE + np.sqrt(share) * other
    assert incoherent_share(recorded(wet)) == pytest.approx(share, rel=0.1)


def test_another_signal_is_wholly_incoherent() -> None:
    other = np.random.default_rng(1).normal(0, 0.1, NOISE.shape)
    assert incoherent_share(recorded(other)) == pytest.approx(1.0, abs=0.02)


def test_a_few_windows_seem_no_more_coherent_than_many() -> None:
    other = np.random.default_rng(1).normal(0, 0.1, NOISE.shape).astype(np.float32)
    ten_windows = slice(0, 11 * 4096)
    short = Recording("train-0", NOISE[:, ten_windows], other[:, ten_windows])
    assert incoherent_share([short]) == pytest.approx(
        1.0, abs=0.05
    )  # 0.9 if one window's share is not taken off


def test_recordings_add_up() -> None:
    halves = [Recording(str(i), half, half) for i, half in enumerate(np.split(NOISE, 2, axis=1))]
    opposite = halves[1]._replace(wet=-halves[1].wet)
    assert incoherent_share(halves) == pytest.approx(0.0, abs=1e-6)
    assert incoherent_share([halves[0], opposite]) == pytest.approx(1.0, abs=0.05)


def test_what_is_too_short_is_unknown() -> None:
    assert incoherent_share([Recording("train-0", NOISE[:, :8000], NOISE[:, :8000])]) is None
    assert incoherent_share([]) is None
