from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import signal

from fxcore.audio import Recording, Signal
from fxcore.models import EffectModel
from fxcore.models.modulated_delay import ModulatedDelay, ModulatedDelaySpec
from fxcore.training.cost import measure_cost
from fxcore.training.evaluate import evaluate, to_device

Array = npt.NDArray[np.float64]

SAMPLE_RATE = 8_000
RATE_HZ = 1.87  # round in no grid
MEAN, DEPTH = 45.3, 17.2  # samples


def noise(samples: int, seed: int = 0) -> Signal:
    """Of a spectrum that falls with frequency, as music's does."""
    white = np.random.default_rng(seed).standard_normal((1, samples))
    return (0.05 * signal.lfilter([1.0], [1.0, -0.8], white)).astype(np.float32)


def sine(phase: Array) -> Array:
    return np.sin(2 * np.pi * phase)


def triangle(phase: Array) -> Array:
    return np.asarray(signal.sawtooth(2 * np.pi * phase, 0.5))


def chorus(
    dry: Signal, delay: Array, *, dry_gain: float = 0.5, gain: float = 0.5, feedback: float = 0.0
) -> Signal:
    """The wet, sample by sample: a delay line, read by linear interpolation, that hears itself."""
    line, wet, last = np.zeros(dry.shape[-1]), np.zeros(dry.shape[-1]), 0.0
    for n, sample in enumerate(dry[0].astype(np.float64)):
        line[n] = sample + feedback * last
        at = n - delay[n]
        whole = int(np.floor(at))
        last = line[whole] + (at - whole) * (line[whole + 1] - line[whole]) if whole >= 0 else 0.0
        wet[n] = dry_gain * sample + gain * last
    return wet[None].astype(np.float32)


def delays(samples: int, start_sample: int = 0, wave: Callable[[Array], Array] = sine) -> Array:
    return MEAN + DEPTH * wave(RATE_HZ * (start_sample + np.arange(samples)) / SAMPLE_RATE)


def fitted(recordings: list[Recording], **settings: int) -> ModulatedDelay:
    spec = ModulatedDelaySpec(
        **{"max_delay_samples": 128, "direct_taps": 4, "taps": 4, "harmonics": 2, **settings}
    )
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    model.initialise(recordings, SAMPLE_RATE, torch.Generator().manual_seed(0))
    assert isinstance(model, ModulatedDelay)
    return model


def esr(model: EffectModel, recording: Recording) -> float:
    return evaluate(model, to_device([recording]), SAMPLE_RATE)["esr"]


def model_of(**values: float | list[float]) -> EffectModel:
    """A model of one direct tap and no feedback, its parameters set."""
    spec = ModulatedDelaySpec(max_delay_samples=300, direct_taps=1, harmonics=1, taps=4, loop_taps=0)
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for name, value in values.items():
            model.get_parameter(name).copy_(torch.tensor(value, dtype=torch.float64))
    return model


def test_a_delay_of_whole_samples_that_does_not_move_is_exact() -> None:
    model = model_of(direct=[0.25], swing=[40.0, 0.0, 0.0])
    dry = torch.from_numpy(noise(500))[None]
    expected = 0.25 * dry
    expected[..., 40:] += 0.5 * dry[..., :-40]
    torch.testing.assert_close(model.predict(dry), expected, rtol=0, atol=1e-7)


def test_a_delay_between_samples_delays_a_slow_wave_by_as_much() -> None:
    model = model_of(direct=[0.0], swing=[40.25, 0.0, 0.0])
    times = torch.arange(2_000, dtype=torch.float64)
    wet = model.predict(torch.sin(0.05 * times).float()[None, None])
    expected = 0.5 * torch.sin(0.05 * (times - 40.25)).float()[None, None]
    torch.testing.assert_close(wet[..., 100:], expected[..., 100:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("start_sample", [12_345, 10_000_000_000])
def test_start_sample_sets_where_the_swing_stands(start_sample: int) -> None:
    rate = RATE_HZ / SAMPLE_RATE
    later = model_of(swing=[90.0, 0.0, 35.0], rate=rate)
    angle = 2 * np.pi * ((start_sample * rate) % 1.0)
    turned = model_of(swing=[90.0, 35.0 * np.sin(angle), 35.0 * np.cos(angle)], rate=rate)
    dry = torch.from_numpy(noise(3_000))[None]
    torch.testing.assert_close(later.predict(dry, start_sample), turned.predict(dry), rtol=0, atol=1e-4)


def test_a_swing_goes_on_as_it_began_after_hours() -> None:
    """Its phase is kept in the state, and wrapped: a day of float32 would drift."""
    model = model_of(swing=[90.0, 0.0, 35.0], rate=0.001)
    dry = torch.from_numpy(noise(3_000))[None]
    hours = 1_000 * 1_000_000
    torch.testing.assert_close(model.predict(dry, hours), model.predict(dry), rtol=0, atol=1e-5)


def test_finds_rate_depth_and_gains_of_a_sine() -> None:
    train, test = noise(32_000), noise(16_000, seed=1)
    model = fitted([Recording("train", train, chorus(train, delays(32_000)))], loop_taps=0)
    assert model.rate.item() * SAMPLE_RATE == pytest.approx(RATE_HZ, abs=1e-5)
    assert model.swing.tolist() == pytest.approx([MEAN, 0.0, DEPTH, 0.0, 0.0], abs=0.01)
    assert model.direct[0].item() == pytest.approx(0.5, abs=1e-3)
    assert esr(model, Recording("test", test, chorus(test, delays(16_000)))) < 1e-6


def test_finds_the_phase_of_a_cut_recording() -> None:
    dry = noise(40_000)
    wet = chorus(dry, delays(40_000))
    cut = Recording("cut", dry[:, 9_000:], wet[:, 9_000:], start_sample=9_000)
    model = fitted([cut], loop_taps=0)
    assert model.swing.tolist() == pytest.approx([MEAN, 0.0, DEPTH, 0.0, 0.0], abs=0.01)
    assert esr(model, Recording("whole", dry, wet)) < 1e-6


def test_a_recording_whose_swing_began_at_another_time_is_left_out() -> None:
    first, second = noise(32_000), noise(24_000, seed=1)
    pair = Recording("first", first, chorus(first, delays(32_000)))
    odd = Recording("second", second, chorus(second, delays(24_000, start_sample=2_000)))
    assert esr(fitted([pair, odd], loop_taps=0), pair) < 1e-6


def test_finds_feedback() -> None:
    train, test = noise(32_000), noise(16_000, seed=1)
    model = fitted([Recording("train", train, chorus(train, delays(32_000), feedback=-0.6))])
    assert model.loop.tolist() == pytest.approx([0.0, -0.6 / 0.5], abs=0.02)  # of a wet gain of 0.5
    assert esr(model, Recording("test", test, chorus(test, delays(16_000), feedback=-0.6))) < 1e-4


def test_without_feedback_there_is_no_loop_to_pay_for() -> None:
    dry = noise(32_000)
    assert not fitted([Recording("train", dry, chorus(dry, delays(32_000)))]).loop.any()


def test_a_vibrato_has_no_dry_sound() -> None:
    dry = noise(32_000)
    recording = Recording("vibrato", dry, chorus(dry, delays(32_000), dry_gain=0.0, gain=-0.8))
    model = fitted([recording], loop_taps=0)
    assert model.direct.abs().max() < 1e-3
    assert esr(model, recording) < 1e-6


def test_finds_the_corners_of_a_triangle() -> None:
    dry = noise(32_000)
    recording = Recording("triangle", dry, chorus(dry, delays(32_000, wave=triangle)))
    model = fitted([recording], loop_taps=0)
    assert model.triangle[0].item() == pytest.approx(DEPTH, abs=0.2)
    assert esr(model, recording) < 1e-3


def test_a_delay_that_does_not_move_is_found() -> None:
    dry = noise(24_000)
    recording = Recording("still", dry, chorus(dry, np.full(24_000, 70.5)))
    assert esr(fitted([recording], loop_taps=0), recording) < 1e-4


def test_a_silent_pair_leaves_a_model_that_plays() -> None:
    silence = np.zeros((1, 16_000), np.float32)
    model = fitted([Recording("silence", silence, silence)])
    assert model.predict(torch.from_numpy(noise(5_000))[None]).isfinite().all()


def test_plays_faster_than_time_with_feedback() -> None:
    model = ModulatedDelaySpec().build(torch.Generator().manual_seed(0))
    assert measure_cost(model, 44_100, seconds=0.1).realtime_factor > 1.0
