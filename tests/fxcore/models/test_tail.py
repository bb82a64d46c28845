import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from fxcore.audio import Recording
from fxcore.errors import SpecError
from fxcore.models.base import ModelSpec
from fxcore.models.gru import GruSpec
from fxcore.models.lstm import LstmSpec
from fxcore.models.recurrent import WARM_UP_SAMPLES, RecurrentNet
from fxcore.models.tail import DIRECT_SAMPLES, Tail
from fxcore.training import Budget, Fit, Progress, TrainingData

SAMPLE_RATE = 44_100
CABINET = np.random.default_rng(5).standard_normal(60) * np.exp(-np.arange(60) / 12)


def model_of(spec: ModelSpec) -> RecurrentNet:
    model = spec.build(torch.Generator().manual_seed(0))
    assert isinstance(model, RecurrentNet)
    return model


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(seed))


def clipped_through_a_cabinet(seed: int, samples: int = 60_000) -> Recording:
    dry = 0.3 * np.random.default_rng(seed).standard_normal((1, samples))
    wet = signal.lfilter(CABINET, 1.0, np.tanh(4 * dry))
    return Recording("cabinet", dry.astype(np.float32), wet.astype(np.float32))


@pytest.mark.parametrize("length", [1, 64, DIRECT_SAMPLES, DIRECT_SAMPLES + 1, 1000])
def test_filters_like_a_direct_convolution(length: int) -> None:
    tail, dry = Tail(len(CABINET)), noise(2 * length)
    tail.taps.copy_(torch.from_numpy(CABINET))
    past, played = torch.zeros(1, 1, tail.memory_samples), []
    with torch.no_grad():
        for block in dry.split(length, dim=-1):
            wet, past = tail(block, past)
            played.append(wet)
    expected = signal.lfilter(CABINET, 1.0, dry[0, 0].double().numpy())
    np.testing.assert_allclose(torch.cat(played, -1)[0, 0].numpy(), expected, rtol=0, atol=1e-5)


def test_a_fresh_tail_changes_nothing() -> None:
    tail, dry = Tail(50), noise(300)
    wet, _ = tail(dry, torch.zeros(1, 1, 49))
    torch.testing.assert_close(wet, dry)


def test_one_tap_is_a_gain() -> None:
    tail, dry = Tail(1), noise(300)
    tail.taps.fill_(-2.0)
    wet, past = tail(dry, torch.zeros(1, 1, 0))
    torch.testing.assert_close(wet, -2.0 * dry)
    assert past.shape == (1, 1, 0)


def test_begins_as_the_filter_behind_a_distortion_of_noise() -> None:
    """Bussgang: but for a gain, the linear fit of the pair is the cabinet."""
    tail = Tail(len(CABINET))
    tail.begin([clipped_through_a_cabinet(0), clipped_through_a_cabinet(1)], 1.0, 1.0)
    taps = tail.taps.numpy()
    assert np.corrcoef(taps, CABINET)[0, 1] > 0.98


def test_solves_what_lies_behind_a_known_distortion() -> None:
    tail = Tail(len(CABINET))
    tail.solve(
        [clipped_through_a_cabinet(0), clipped_through_a_cabinet(1, samples=40_000)],
        lambda dry: torch.tanh(4 * dry),
        100,
        0.5,
        torch.Generator().manual_seed(0),
    )
    np.testing.assert_allclose(tail.taps.numpy(), CABINET / 0.5, rtol=0, atol=1e-4)


def test_a_network_gone_astray_leaves_it_as_it_was() -> None:
    tail = Tail(10)
    before = tail.taps.clone()
    tail.solve(
        [clipped_through_a_cabinet(0)], lambda dry: dry * torch.nan, 10, 1.0, torch.Generator().manual_seed(0)
    )
    assert torch.equal(tail.taps, before)


@pytest.mark.parametrize(
    "spec", [LstmSpec(hidden=6, tail_taps=300), GruSpec(hidden=6, skip=True, tail_taps=300)]
)
@pytest.mark.parametrize("block_samples", [1, 64, 1000])
def test_a_net_with_a_tail_streams_as_it_trains(spec: ModelSpec, block_samples: int) -> None:
    model, dry, played = model_of(spec), 0.1 * noise(1_500), []
    assert model.tail is not None
    model.tail.taps.copy_(torch.from_numpy(np.resize(CABINET, 300)))
    assert model.context_samples == WARM_UP_SAMPLES + 299
    state = model.initial_state()
    for block in dry.split(block_samples, dim=-1):
        wet, state = model.stream(block, state)
        played.append(wet)
    with torch.no_grad():
        whole = model.decode(model(torch.cat([torch.zeros(1, 1, model.context_samples), dry], dim=-1)))
    torch.testing.assert_close(torch.cat(played, dim=-1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", [LstmSpec, GruSpec])
def test_without_a_tail_nothing_is_added(spec: type[LstmSpec] | type[GruSpec]) -> None:
    model = model_of(spec(hidden=4))
    assert model.tail is None
    assert not any("tail" in name for name in model.state_dict())
    before = model.best_copy()
    model.initialise([clipped_through_a_cabinet(0)], SAMPLE_RATE, torch.Generator())
    model.refine([clipped_through_a_cabinet(0)], torch.Generator())
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


def test_a_tail_filters_numbers_only() -> None:
    with pytest.raises(SpecError, match="a tail needs the output regression; got 'mixture'"):
        LstmSpec.from_dict({"tail_taps": 10, "output": {"kind": "mixture"}})


def fit(spec: ModelSpec, budget: Budget, resume: Progress | None = None) -> Fit:
    data = TrainingData([clipped_through_a_cabinet(0)], [clipped_through_a_cabinet(2, 20_000)], SAMPLE_RATE)
    training = spec.training.model_copy(update={"batch": 8, "block_samples": 128, "blocks": 4})
    return Fit(model_of(spec), data, budget, seed=0, objective="esr", training=training, resume=resume)


def test_training_finds_the_distortion_and_the_tail_behind_it() -> None:
    budget = Budget(steps=80, reports=1)
    without, run = fit(LstmSpec(hidden=8), budget), fit(LstmSpec(hidden=8, tail_taps=64), budget)
    assert next(run).best["esr"] < 0.2 * next(without).best["esr"]
    assert abs(np.corrcoef(run.best_weights["tail.taps"][:60].numpy(), CABINET)[0, 1]) > 0.9


def test_a_resumed_run_solves_its_tail_as_if_never_stopped() -> None:
    spec, budget = LstmSpec(hidden=4, tail_taps=64), Budget(steps=32, reports=2)
    whole = fit(spec, budget)
    next(whole)
    resumed = fit(spec, budget, resume=whole.progress())
    first, second = next(whole), next(resumed)
    assert first._replace(compute_seconds=0.0) == second._replace(compute_seconds=0.0)
    assert all(torch.equal(resumed.best_weights[name], tensor) for name, tensor in whole.best_weights.items())
