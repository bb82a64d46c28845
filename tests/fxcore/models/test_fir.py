import numpy as np
import pytest
import torch
from scipy import signal

from fxcore.audio import Recording
from fxcore.errors import StoreError
from fxcore.models.base import EffectModel
from fxcore.models.fir import FirNet, FirSpec
from fxcore.training import Budget, Fit, TrainingData, evaluate, measure_cost, to_device

RATE = 8_000


def recording(wet_of: np.ndarray, samples: int = 20_000, seed: int = 0, offset: float = 0.0) -> Recording:
    """Noise, and what an impulse response makes of it."""
    dry = 0.1 * np.random.default_rng(seed).standard_normal((1, samples))
    wet = signal.fftconvolve(dry, wet_of[None], axes=1)[:, :samples] + offset
    return Recording("noise", dry.astype(np.float32), wet.astype(np.float32))


def trained(response: np.ndarray, taps: int, offset: float = 0.0) -> tuple[EffectModel, float]:
    """The model, and its ESR on another recording."""
    model = FirSpec(taps=taps).build(torch.Generator().manual_seed(0))
    train, test = recording(response, offset=offset), recording(response, seed=1, offset=offset)
    (report,) = Fit(
        model, TrainingData([train], [test], RATE), Budget(steps=10, reports=3), seed=0, objective="esr"
    )
    assert report.step == 0
    assert report.index == 3
    return model, evaluate(model, to_device([test]), RATE)["esr"]


@pytest.mark.parametrize("delay_samples", [0, 1, 300, 2_999])
def test_a_delayed_copy_is_learned(delay_samples: int) -> None:
    response = np.zeros(delay_samples + 1)
    response[-1] = 1.0
    _, esr = trained(response, 3_000)
    assert esr < 1e-6


@pytest.mark.parametrize("gain", [0.01, 3.0, -0.5])
def test_gain_and_polarity_are_learned(gain: float) -> None:
    model, esr = trained(np.array([gain]), 1)
    assert esr < 1e-9
    assert model.predict(torch.ones(1, 1, 3)).tolist() == [[pytest.approx([gain] * 3, rel=1e-5)]]


def test_a_known_response_is_recovered_with_its_offset() -> None:
    response = np.random.default_rng(5).standard_normal(200) * np.exp(-np.arange(200) / 40)
    model, esr = trained(response, 256, offset=0.05)
    assert isinstance(model, FirNet)
    assert esr < 1e-9
    played = model.filters.taps[0].detach() * model.scale[1] / model.scale[0]
    np.testing.assert_allclose(played.numpy(), np.pad(response, (0, 56)), rtol=0, atol=1e-6)
    assert model.predict(torch.zeros(1, 1, 10)).numpy() == pytest.approx(0.05, abs=1e-6)


def test_a_recording_cut_out_of_a_longer_one_is_learned_as_exactly() -> None:
    response = np.random.default_rng(5).standard_normal(2_000) * np.exp(-np.arange(2_000) / 500)
    _, dry, wet, _ = recording(response, 40_000)
    cut = Recording("cut", dry[:, 15_000:], wet[:, 15_000:], start_sample=15_000)
    model = FirSpec(taps=2_000).build(torch.Generator().manual_seed(0))
    model.initialise([cut], RATE, torch.Generator().manual_seed(0))
    assert evaluate(model, to_device([recording(response, seed=1)]), RATE)["esr"] < 1e-9


def test_more_taps_than_the_recording_has_samples_are_refused() -> None:
    model = FirSpec(taps=30_000).build(torch.Generator().manual_seed(0))
    with pytest.raises(StoreError, match="30000 taps need a recording of more than 30000 samples"):
        model.initialise([recording(np.ones(1))], RATE, torch.Generator().manual_seed(0))


def test_ten_seconds_are_played_faster_than_real_time() -> None:
    model = FirSpec(taps=480_000).build(torch.Generator().manual_seed(0))
    cost = measure_cost(model, 48_000, seconds=1.0)
    assert cost.receptive_field == 480_000
    assert cost.realtime_factor > 1.0
