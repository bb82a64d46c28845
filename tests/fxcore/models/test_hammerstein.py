import numpy as np
import pytest
import torch
from scipy import signal

from fxcore.audio import Recording
from fxcore.errors import SpecError
from fxcore.models import FAMILIES
from fxcore.models.hammerstein import HammersteinSpec, polynomials
from fxcore.training import Budget, Fit, TrainingData, evaluate, to_device

RATE = 8_000


def recording(seed: int = 0, start_sample: int = 0, samples: int = 30_000) -> Recording:
    """A cubic, an even part and a straight one, each through another filter."""
    rng = np.random.default_rng(7)
    filters = rng.standard_normal((3, 20)) * np.exp(-np.arange(20) / 5)
    dry = 0.3 * np.random.default_rng(seed).uniform(-1, 1, (1, samples + start_sample))
    powers = np.concatenate([dry, dry**2, 5 * dry**3])
    wet = signal.fftconvolve(powers, filters, axes=1)[:, : dry.shape[-1]].sum(axis=0, keepdims=True)
    return Recording("powers", *(s.astype(np.float32)[:, start_sample:] for s in (dry, wet)), start_sample)


@pytest.mark.parametrize("start_sample", [0, 500])
def test_powers_with_a_filter_each_are_recovered(start_sample: int) -> None:
    model = HammersteinSpec(order=3, taps=32).build(torch.Generator().manual_seed(0))
    train, test = recording(0, start_sample), recording(1)
    data = TrainingData([train], [test], RATE)
    (report,) = Fit(model, data, Budget(steps=5), seed=0, objective="esr")
    assert report.metrics["esr"] < 1e-9


def test_too_low_an_order_is_not_enough() -> None:
    model = HammersteinSpec(order=2, taps=32).build(torch.Generator().manual_seed(0))
    model.initialise([recording(0)], RATE, torch.Generator().manual_seed(0))
    assert evaluate(model, to_device([recording(1)]), RATE)["esr"] > 1e-3


def test_polynomials_are_chebyshevs_without_their_constant() -> None:
    dry = torch.linspace(-1, 1, 101, dtype=torch.float64)
    found = polynomials(dry[None, None], 9)[0].numpy()
    for degree in range(1, 10):
        reference = np.polynomial.Chebyshev.basis(degree)
        np.testing.assert_allclose(found[degree - 1], reference(dry.numpy()) - reference(0.0), atol=1e-12)


def test_what_is_louder_than_all_that_was_learned_does_not_explode() -> None:
    model = HammersteinSpec(order=9, taps=32).build(torch.Generator().manual_seed(0))
    model.set_scale(0.17, 0.3)
    model.initialise([recording(0)], RATE, torch.Generator().manual_seed(0))
    loudest = model.predict(torch.full((1, 1, 200), 0.3))
    torch.testing.assert_close(model.predict(torch.full((1, 1, 200), 3.0)), loudest, rtol=0, atol=1e-3)


def test_more_unknowns_than_can_be_solved_are_refused() -> None:
    with pytest.raises(SpecError, match="order times taps must be at most 16384; got 9 x 8192 = 73728"):
        FAMILIES.parse({"kind": "hammerstein", "taps": 8_192})
