import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from fxcore import companding
from fxcore.errors import SpecError
from fxcore.losses import DEFAULT_LOSS, LossWeights, WeightedLoss
from fxcore.losses.weighted import ENERGY_FLOOR
from fxcore.models import OUTPUTS, Output
from fxcore.models.outputs import Factorised, Mixture, Regression, Softmax

Array = npt.NDArray[np.float64]
SAMPLE_RATE = 44_100
SCALE = torch.tensor(0.3, dtype=torch.float64)  # deviation of the wet
LIKELIHOOD_WEIGHT = DEFAULT_LOSS.weights.likelihood_weight
EVERY = pytest.mark.parametrize("kind", list(OUTPUTS))


def random_raw(channels: int, samples: int, batch: int = 1, seed: int = 0) -> Tensor:
    """Raw outputs of an untrained network, (B, O, N), in double precision."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, samples, generator=rng, dtype=torch.float64)


def likelihood_part(output: Output, raw: Tensor, wet: Tensor, pred: Tensor) -> Tensor:
    """The loss without what the waveform adds, back in nats a sample."""
    waveform = DEFAULT_LOSS.waveform(pred / SCALE, wet / SCALE, SCALE)
    return (output.loss(raw, wet, SCALE) - waveform) / LIKELIHOOD_WEIGHT


def mixture_nats(raw: Array, code: int, bits: int, scale: float) -> Array:
    """Negative log likelihood of one code under (12, N) raw outputs: four logistics, cut into levels."""
    logits, means, log_scales = raw[:4], raw[4:8] * scale, raw[8:] - 2.0
    mu, half = 2**bits - 1, 2 ** (bits - 1) - 1
    centre = np.sign(means) * np.log1p(mu * np.abs(means)) / np.log1p(mu)
    level = (code - half - 1) / half

    def below(edge: float) -> Array:
        return 1 / (1 + np.exp(-(edge - centre) / np.exp(log_scales)))

    low = 0.0 if code == 1 else below(level - 0.5 / half)
    high = 1.0 if code == 2 * half + 1 else below(level + 0.5 / half)
    weights = np.exp(logits) / np.exp(logits).sum(axis=0)
    return -np.log((weights * (high - low)).sum(axis=0))


def wet_of(code: int, bits: int, samples: int) -> Tensor:
    """A wet that stays on one level, (1, 1, N), in double precision."""
    half = 2 ** (bits - 1) - 1
    level = torch.full((1, 1, samples), (code - half - 1) / half, dtype=torch.float64)
    return companding.expand(level, bits)


def mixture_mean(raw: Tensor) -> Tensor:
    return (raw[:, :4].softmax(dim=1) * raw[:, 4:8] * SCALE).sum(dim=1, keepdim=True)


def test_regression_is_the_sample_in_deviations_of_the_wet() -> None:
    raw = random_raw(1, 20)
    assert torch.equal(Regression().decode(raw, SCALE), raw * SCALE)


def test_regression_loss_is_esr_plus_half_of_esr_and_dc() -> None:
    raw, wet = random_raw(1, 50, batch=2), 0.3 * random_raw(1, 50, batch=2, seed=1)
    pred, target = raw.numpy(), wet.numpy() / 0.3

    def filtered(signal: Array) -> Array:
        return signal[..., 1:] - 0.95 * signal[..., :-1]

    def esr(estimate: Array, wanted: Array) -> float:
        floor = ENERGY_FLOOR * wanted.size
        return float(((estimate - wanted) ** 2).sum() / ((wanted**2).sum() + floor))

    offsets = (target.mean(axis=-1) - pred.mean(axis=-1)) ** 2
    dc = offsets.mean() / ((target**2).mean() + ENERGY_FLOOR)
    expected = esr(filtered(pred), filtered(target)) + 0.5 * esr(pred, target) + 0.5 * dc
    assert float(Regression().loss(raw, wet, SCALE)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("gain", "expected"), [(1.0, 0.0), (0.0, 1.5), (-1.0, 6.0)])
def test_regression_loss_of_an_exact_a_silent_and_an_inverted_pred(gain: float, expected: float) -> None:
    wet = 0.3 * random_raw(1, 20_000)
    wet -= wet.mean()
    loss = float(Regression().loss(gain * wet / SCALE, wet, SCALE))
    assert loss == pytest.approx(expected, rel=3 * ENERGY_FLOOR)


@pytest.mark.parametrize("code", [1, 2, 100, 128, 129, 200, 254, 255])
def test_mixture_likelihood_is_that_of_four_logistics_cut_into_levels(code: int) -> None:
    output, raw, wet = Mixture(bits=8), random_raw(12, 40), wet_of(code, 8, 40)
    nats = likelihood_part(output, raw, wet, mixture_mean(raw))
    assert float(nats) == pytest.approx(mixture_nats(raw[0].numpy(), code, 8, 0.3).mean(), rel=2e-3)


def test_mixture_likelihoods_of_all_codes_sum_to_1() -> None:
    output, raw, total = Mixture(bits=8), random_raw(12, 1).expand(1, 12, 2), 0.0
    for code in range(1, 256):
        nats = likelihood_part(output, raw, wet_of(code, 8, 2), mixture_mean(raw))
        total += math.exp(-float(nats))
    assert total == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("bits", [8, 12, 16, 24])
def test_mixture_costs_the_same_at_every_depth_and_decodes_to_its_grid(bits: int) -> None:
    output, raw = Mixture(bits=bits), random_raw(12, 500).float()
    assert output.channels == 12
    wet = output.decode(raw, SCALE.float())
    assert wet.shape == (1, 1, 500)
    assert torch.equal(wet, companding.decode(companding.encode(wet, bits), bits))
    companded = companding.compress(wet.double(), bits)
    mean = companding.compress(mixture_mean(raw.double()).clamp(-1, 1), bits)
    assert float((companded - mean).abs().max()) <= 0.5 * companding.step(bits) + 1e-6


def test_a_certain_mixture_decodes_to_its_one_mean() -> None:
    raw = torch.zeros(1, 12, 3)
    raw[:, 1] = 50.0  # the second component's weight
    raw[:, 5] = torch.tensor([-0.5, 0.0, 2.0])  # and its mean, in deviations
    raw[:, 4] = 3.0
    wet = Mixture(bits=16).decode(raw, torch.tensor(0.3))
    torch.testing.assert_close(wet[0, 0], torch.tensor([-0.15, 0.0, 0.6]), rtol=0, atol=1.1e-4)  # half a step


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_a_sharper_mixture_about_the_right_level_is_likelier(bits: int) -> None:
    wet, nats = wet_of(2 ** (bits - 1) + 20, bits, 8), []
    for log_scale in (0.0, -2.0, -4.0):
        raw = torch.zeros(1, 12, 8, dtype=torch.float64)
        raw[:, 4:8], raw[:, 8:] = wet / SCALE, log_scale
        nats.append(float(likelihood_part(Mixture(bits=bits), raw, wet, mixture_mean(raw))))
    assert nats[0] > nats[1] > nats[2]


def test_softmax_decodes_to_the_expected_amplitude() -> None:
    raw = random_raw(256, 30)
    levels = companding.decode(torch.arange(256), 8).double().numpy()
    weights = np.exp(raw[0].numpy())
    expected = (weights * levels[:, None]).sum(axis=0) / weights.sum(axis=0)
    wet = Softmax().decode(raw.float(), SCALE.float())
    np.testing.assert_allclose(wet[0, 0].numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 9, 10])
def test_a_certain_softmax_decodes_to_its_level(bits: int) -> None:
    codes = torch.tensor([1, 2 ** (bits - 1), 2**bits - 1, 37])
    raw = torch.full((1, 2**bits, 4), -100.0).scatter(1, codes.view(1, 1, 4), 100.0)
    wet = Softmax(bits=bits).decode(raw, torch.tensor(0.3))
    assert Softmax(bits=bits).channels == 2**bits
    torch.testing.assert_close(wet[0, 0], companding.decode(codes, bits))
    assert wet[0, 0, :3].tolist() == [-1.0, 0.0, 1.0]


def test_softmax_likelihood_is_the_probability_of_the_code() -> None:
    output, raw, wet = Softmax(), random_raw(256, 30).float(), wet_of(77, 8, 30).float()
    scale = SCALE.float()
    waveform = DEFAULT_LOSS.waveform(output.decode(raw, scale) / scale, wet / scale, scale)
    nats = float(output.loss(raw, wet, scale) - waveform) / LIKELIHOOD_WEIGHT
    logits = raw[0].double().numpy()
    expected = -np.log(np.exp(logits[77]) / np.exp(logits).sum(axis=0)).mean()
    assert nats == pytest.approx(expected, rel=1e-4)


def factorised_shares(raw: Tensor, output: Factorised) -> Array:
    """Probability of each code, (C, N), of raw outputs (1, O, N)."""
    upper, lower = (part.softmax(dim=0) for part in raw[0].split([output.coarse, output.fine]))
    return (upper[:, None] * lower[None]).flatten(0, 1).double().numpy()


@pytest.mark.parametrize(("bits", "coarse", "fine"), [(8, 16, 16), (9, 32, 16), (12, 64, 64), (16, 256, 256)])
def test_factorised_has_a_class_for_each_half_of_the_code(bits: int, coarse: int, fine: int) -> None:
    output = Factorised(bits=bits)
    assert (output.coarse, output.fine, output.channels) == (coarse, fine, coarse + fine)
    assert coarse * fine == 2**bits


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_factorised_decodes_to_the_expected_amplitude(bits: int) -> None:
    output = Factorised(bits=bits)
    raw = 2 * random_raw(output.channels, 20).float()
    companded = (np.arange(2**bits) - 2 ** (bits - 1)) * companding.step(bits)  # code 0 is a step below -1
    levels = np.sign(companded) * (2.0 ** (bits * np.abs(companded)) - 1) / (2**bits - 1)
    np.testing.assert_allclose(
        levels[1:], companding.decode(torch.arange(1, 2**bits), bits), rtol=0, atol=1e-6
    )
    wet = output.decode(raw, SCALE.float())
    np.testing.assert_allclose(wet[0, 0].numpy(), levels @ factorised_shares(raw, output), rtol=0, atol=2e-6)


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_a_certain_factorised_decodes_to_its_level(bits: int) -> None:
    output = Factorised(bits=bits)
    codes = torch.tensor([0, 1, 37, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2 ** (bits - 1) + 1, 2**bits - 1])
    raw = torch.full((1, output.channels, codes.numel()), -100.0)
    raw[0, codes // output.fine, torch.arange(codes.numel())] = 100.0
    raw[0, output.coarse + codes % output.fine, torch.arange(codes.numel())] = 100.0
    wet = output.decode(raw, torch.tensor(0.3))
    torch.testing.assert_close(wet[0, 0], companding.decode(codes, bits), rtol=2e-5, atol=3e-7)
    assert wet[0, 0, 4] == 0.0


@pytest.mark.parametrize("code", [1, 2047, 2048, 2049, 4095])
def test_factorised_likelihood_is_the_probability_of_the_code(code: int) -> None:
    output = Factorised(bits=12)
    raw, wet, scale = random_raw(128, 30).float(), wet_of(code, 12, 30).float(), SCALE.float()
    waveform = DEFAULT_LOSS.waveform(output.decode(raw, scale) / scale, wet / scale, scale)
    nats = float(output.loss(raw, wet, scale) - waveform) / LIKELIHOOD_WEIGHT
    assert nats == pytest.approx(-np.log(factorised_shares(raw, output)[code]).mean(), rel=1e-3)


@pytest.mark.parametrize("kind", ["mixture", "factorised", "softmax"])
def test_likelihood_counts_by_its_weight(kind: str) -> None:
    output, wet = OUTPUTS.parse(kind), wet_of(77, 8, 30).float()
    raw = random_raw(output.channels, 30).float()
    none, default, twice = (
        float(
            output.loss(
                raw, wet, SCALE.float(), WeightedLoss(LossWeights(likelihood_weight=weight), SAMPLE_RATE)
            )
        )
        for weight in (0.0, 0.1, 0.2)
    )
    assert default == float(output.loss(raw, wet, SCALE.float()))
    assert twice - default == pytest.approx(default - none, rel=1e-4)
    assert default > none


@EVERY
def test_a_wet_over_full_scale_has_a_finite_loss(kind: str) -> None:
    output = OUTPUTS.parse(kind)
    raw = random_raw(output.channels, 10).float().requires_grad_()
    loss = output.loss(raw, torch.full((1, 1, 10), 3.0), SCALE.float())
    loss.backward()
    assert loss.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("mixture", 7), ("mixture", 25), ("factorised", 7), ("factorised", 17), ("softmax", 7), ("softmax", 11)],
)
def test_depths_out_of_reach_are_refused(kind: str, bits: int) -> None:
    with pytest.raises(SpecError, match=rf"bits: input should be .* got {bits}"):
        OUTPUTS.parse({"kind": kind, "bits": bits})
