import numpy as np
import pytest
import torch
from scipy import signal

from fxcore.audio import Recording
from fxcore.models.base import EffectModel
from fxcore.models.wiener_hammerstein import Shape, WienerHammersteinNet, WienerHammersteinSpec
from fxcore.training import Budget, Fit, TrainingData, evaluate, to_device

RATE = 8_000


def recording(output: np.ndarray, drive: float, seed: int = 0, samples: int = 60_000) -> Recording:
    """Noise whose level changes, a soft clip with an even part, and a filter."""
    rng = np.random.default_rng(seed)
    level = np.repeat(10 ** rng.uniform(-2, -0.5, samples // 500), 500)
    dry = level * rng.standard_normal((1, samples))
    shaped = np.tanh(drive * dry + 0.3) - np.tanh(0.3)
    wet = signal.fftconvolve(shaped, output[None], axes=1)[:, :samples]
    return Recording("clip", dry.astype(np.float32), wet.astype(np.float32))


def unfiltered(before: np.ndarray, seed: int) -> Recording:
    """A pair whose dry becomes, through the filter `before`, what a clip hears."""
    clip = recording(np.array([1.0]), 5.0, seed)
    dry = signal.lfilter([1.0], before, clip.dry, axis=1).astype(np.float32)
    return Recording("filtered clip", dry, clip.wet)


def initialised(train: Recording, spec: WienerHammersteinSpec) -> EffectModel:
    model = spec.build(torch.Generator().manual_seed(0))
    model.set_scale(float(train.dry.std()), float(train.wet.std()))
    model.initialise([train], RATE, torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("gain", [1.0, -0.2])
def test_a_clip_is_learned_with_its_polarity_before_any_step(gain: float) -> None:
    output = np.array([gain])
    model = initialised(recording(output, 5.0), WienerHammersteinSpec(input_taps=4, output_taps=16))
    assert evaluate(model, to_device([recording(output, 5.0, seed=1)]), RATE)["esr"] < 1e-4


def test_a_clip_into_a_long_reverb_is_learned_before_any_step() -> None:
    output = np.random.default_rng(5).standard_normal(3_000) * np.exp(-np.arange(3_000) / 600)
    model = initialised(recording(output, 5.0), WienerHammersteinSpec(output_taps=3_000))
    assert evaluate(model, to_device([recording(output, 5.0, seed=1)]), RATE)["esr"] < 1e-2


def test_gradients_find_the_filter_before_the_clip() -> None:
    before = np.array([0.8, -0.3, 0.2])
    train, test = (unfiltered(before, seed) for seed in (0, 1))
    spec = WienerHammersteinSpec(input_taps=8, units=8, output_taps=8)
    training = spec.training.model_copy(update={"block_samples": 2048, "learning_rate": 1e-2})
    assert evaluate(initialised(train, spec), to_device([test]), RATE)["esr"] > 0.02
    fit = Fit(
        spec.build(torch.Generator().manual_seed(0)),
        TrainingData([train], [test], RATE),
        Budget(steps=300, reports=2),
        seed=0,
        objective="esr",
        training=training,
    )
    assert list(fit)[-1].best["esr"] < 0.005


def test_a_long_output_filter_is_solved_and_not_trained() -> None:
    output = np.random.default_rng(5).standard_normal(5_000) * np.exp(-np.arange(5_000) / 600)
    train = recording(output, 5.0)
    model = initialised(train, WienerHammersteinSpec(input_taps=2, units=8, output_taps=5_000))
    assert isinstance(model, WienerHammersteinNet)
    assert not model.output.taps.requires_grad
    esr = evaluate(model, to_device([train]), RATE)["esr"]
    with torch.no_grad():
        model.output.taps.mul_(0.5)
    model.refine([train], torch.Generator().manual_seed(0))
    assert evaluate(model, to_device([train]), RATE)["esr"] == pytest.approx(esr, rel=0.5)


def test_a_shape_goes_through_the_origin_and_is_static() -> None:
    shape = Shape(6)
    dry = torch.randn(2, 1, 50, generator=torch.Generator().manual_seed(0))
    assert not shape(torch.zeros(1, 1, 3)).any()
    torch.testing.assert_close(shape(dry.flip(-1)).flip(-1), shape(dry))
    curves = shape.curves(dry)
    expected = (shape.weights[:, None] * curves[:, :-1]).sum(1, keepdim=True) + shape.line * dry
    torch.testing.assert_close(shape(dry), expected)


def test_initialising_twice_from_one_seed_gives_one_model() -> None:
    train = recording(np.array([1.0, 0.5]), 5.0)
    first, second = (initialised(train, WienerHammersteinSpec(output_taps=8)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
