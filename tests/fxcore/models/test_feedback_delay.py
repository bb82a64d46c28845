import numpy as np
import pytest
import torch

from fxcore.audio import Recording, Signal
from fxcore.errors import SpecError
from fxcore.models import FAMILIES, EffectModel
from fxcore.models.feedback_delay import FeedbackDelay, FeedbackDelaySpec
from fxcore.training.cost import measure_cost
from fxcore.training.evaluate import evaluate, to_device

SAMPLE_RATE = 16_000
DELAY = 1_203


def noise(samples: int, seed: int = 0) -> Signal:
    return (0.1 * np.random.default_rng(seed).standard_normal((1, samples))).astype(np.float32)


def echoes(dry: Signal, *, dry_gain: float, echo_gain: float, feedback: float, delay: int = DELAY) -> Signal:
    """The wet, sample by sample: dry, and a line that hears itself."""
    line, wet = np.zeros(dry.shape[-1]), np.zeros(dry.shape[-1])
    for n, sample in enumerate(dry[0].astype(np.float64)):
        heard = line[n - delay] if n >= delay else 0.0
        line[n] = sample + feedback * heard
        wet[n] = dry_gain * sample + echo_gain * heard
    return wet[None].astype(np.float32)


def fitted(recordings: list[Recording], **settings: int) -> FeedbackDelay:
    spec = FeedbackDelaySpec(**{"max_delay_samples": 4_000, "taps": 16, **settings})
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    model.initialise(recordings, SAMPLE_RATE, torch.Generator().manual_seed(0))
    assert isinstance(model, FeedbackDelay)
    return model


def esr(model: EffectModel, recording: Recording) -> float:
    return evaluate(model, to_device([recording]), SAMPLE_RATE)["esr"]


def test_equals_the_echoes_written_out() -> None:
    model = FeedbackDelaySpec(max_delay_samples=128, taps=1).build(torch.Generator().manual_seed(0))
    model.get_buffer("delay_samples").fill_(50)
    with torch.no_grad():  # the line's output, of which the wet is a share
        model.get_parameter("direct").fill_(0.6)
        model.get_parameter("echo").fill_(0.4 - 0.5 * 0.6)
        model.get_parameter("loop").fill_(0.5)
    dry = noise(400)
    expected = echoes(dry, dry_gain=0.6, echo_gain=0.4, feedback=0.5, delay=50)
    wet = model.predict(torch.from_numpy(dry)[None])[0].numpy()
    np.testing.assert_allclose(wet, expected, rtol=0, atol=1e-6)


def test_finds_delay_gains_and_feedback() -> None:
    train, test = noise(80_000), noise(40_000, seed=1)
    gains = {"dry_gain": 0.6, "echo_gain": 0.4, "feedback": 0.5}
    model = fitted([Recording("train", train, echoes(train, **gains))])
    assert 0 <= DELAY - int(model.delay_samples) < 16
    assert model.direct[0].item() == pytest.approx(0.6, abs=1e-4)
    assert model.loop.sum().item() == pytest.approx(0.5, abs=1e-4)
    assert esr(model, Recording("test", test, echoes(test, **gains))) < 1e-8


def test_hears_a_delay_between_samples_and_darker_echoes() -> None:
    train, test = noise(80_000), noise(40_000, seed=1)

    def wet_of(dry: Signal) -> Signal:
        spectrum = np.fft.rfft(dry, 2 * dry.shape[-1])
        turns = np.fft.rfftfreq(2 * dry.shape[-1])
        dark = 0.4 * np.exp(-2j * np.pi * turns * 1_000.37) / (1 + 8 * turns**2)
        return np.fft.irfft(spectrum * (1 + dark + dark**2), axis=-1)[:, : dry.shape[-1]].astype(np.float32)

    model = fitted([Recording("train", train, wet_of(train))], taps=32)
    assert esr(model, Recording("test", test, wet_of(test))) < 0.01


def test_a_cut_recording_is_learned_from_though_its_past_is_missing() -> None:
    dry = noise(80_000)
    wet = echoes(dry, dry_gain=0.6, echo_gain=0.4, feedback=0.7)
    model = fitted([Recording("cut", dry[:, 30_000:], wet[:, 30_000:], start_sample=30_000)])
    assert esr(model, Recording("whole", dry, wet)) < 1e-8


def test_noise_in_the_wet_does_not_make_the_feedback_fainter() -> None:
    dry = noise(160_000)
    wet = echoes(dry, dry_gain=0.0, echo_gain=1.0, feedback=0.7)
    model = fitted([Recording("noisy", dry, wet + 0.5 * noise(160_000, seed=2))])
    assert model.loop.sum().item() == pytest.approx(0.7, abs=0.03)


def test_feedback_never_grows() -> None:
    dry = noise(40_000)
    wet = echoes(dry, dry_gain=1.0, echo_gain=1e-3, feedback=1.001)
    model = fitted([Recording("howling", dry, wet)])
    assert torch.fft.rfft(model.loop.detach(), 512).abs().max() < 1.0


def test_a_silent_pair_leaves_a_model_that_plays() -> None:
    silence = np.zeros((1, 20_000), np.float32)
    model = fitted([Recording("silence", silence, silence)])
    assert model.predict(torch.from_numpy(noise(5_000))[None]).isfinite().all()


def test_a_second_of_delay_costs_few_weights_and_plays_faster_than_time() -> None:
    model = FeedbackDelaySpec(max_delay_samples=200_000).build(torch.Generator().manual_seed(0))
    cost = measure_cost(model, 44_100, seconds=0.1)
    assert cost.parameters == 3 * 64
    assert cost.realtime_factor > 1.0


def test_an_echo_must_have_room_behind_the_direct_sound() -> None:
    with pytest.raises(SpecError, match=r"at least twice the taps \(512\); got 600"):
        FAMILIES.parse({"kind": "feedback_delay", "taps": 512, "max_delay_samples": 600})
