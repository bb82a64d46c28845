import math

import pytest
import torch
from torch import Tensor

from fxcore.companding import compress, decode, dequantise, encode, expand, quantise, step
from fxcore.errors import SpecError

DEPTHS = pytest.mark.parametrize("bits", [2, 3, 4, 8, 10, 12, 16, 20, 24])


def ramp(samples: int = 200_001) -> Tensor:
    """Evenly spaced from -1 to 1, and denser about silence: odd about its middle."""
    line = torch.linspace(-1, 1, samples, dtype=torch.float64)
    return torch.cat([line, line**5]).float()


def sine(amplitude: float = 1.0) -> Tensor:
    """A second of 997 Hz at 48 kHz: whole periods, no two alike."""
    time_s = torch.arange(48_000, dtype=torch.float64) / 48_000
    return (amplitude * torch.sin(2 * math.pi * 997 * time_s)).float()


def snr_db(signal: Tensor, bits: int) -> float:
    error = decode(encode(signal, bits), bits).double() - signal.double()
    return float(10 * (signal.double().square().mean() / error.square().mean()).log10())


@DEPTHS
def test_compress_is_the_mu_law(bits: int) -> None:
    mu = 2.0**bits - 1
    signal = torch.tensor([-1.0, -0.25, 0.0, 1e-6, 0.5, 1.0])
    expected = [math.copysign(math.log(1 + mu * abs(x)) / math.log(1 + mu), x) for x in signal.tolist()]
    torch.testing.assert_close(compress(signal, bits), torch.tensor(expected))


@DEPTHS
def test_expand_undoes_compress(bits: int) -> None:
    exact = ramp().double()
    torch.testing.assert_close(expand(compress(exact, bits), bits), exact, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(expand(compress(ramp(), bits), bits), ramp(), rtol=2e-6, atol=1e-9)


@DEPTHS
def test_round_trip_is_within_half_a_step_everywhere(bits: int) -> None:
    signal = ramp().double()
    decoded = decode(encode(signal, bits), bits).double()
    error = (compress(decoded, bits) - compress(signal, bits)).abs().max()
    float32_rounding = 2**-24  # of the decoded signal, which counts at 24 bits alone
    assert float(error) <= step(bits) / 2 + float32_rounding


@DEPTHS
def test_every_code_decodes_to_what_encodes_to_it(bits: int) -> None:
    codes = torch.arange(1, 2**bits) if bits <= 16 else torch.arange(1, 2**bits, 997)
    assert torch.equal(encode(decode(codes, bits), bits), codes)
    assert torch.equal(quantise(dequantise(codes, bits), bits), codes)


@DEPTHS
def test_levels_are_evenly_spaced_in_the_companded_domain(bits: int) -> None:
    codes = torch.arange(1, min(2**bits, 2**16))
    spacing = dequantise(codes, bits).double().diff()
    torch.testing.assert_close(spacing, torch.full_like(spacing, step(bits)), rtol=0, atol=2**-24)
    torch.testing.assert_close(
        decode(codes, bits), expand(dequantise(codes, bits), bits), rtol=2e-6, atol=1e-9
    )


@DEPTHS
def test_endpoints_and_silence_are_exact(bits: int) -> None:
    signal = torch.tensor([-1.0, 0.0, 1.0])
    codes = encode(signal, bits)
    assert codes.dtype == torch.int64
    assert codes.tolist() == [1, 2 ** (bits - 1), 2**bits - 1]
    assert torch.equal(decode(codes, bits), signal)


@DEPTHS
def test_what_exceeds_full_scale_is_clipped(bits: int) -> None:
    assert encode(torch.tensor([-7.0, 1.001]), bits).tolist() == [1, 2**bits - 1]
    assert decode(torch.tensor([0]), bits).tolist() == [
        -1.0
    ]  # a code that a model may give, though none is encoded


@DEPTHS
def test_monotone(bits: int) -> None:
    signal = ramp().sort().values
    assert (encode(signal, bits).diff() >= 0).all()
    codes = torch.arange(1, 2**bits) if bits <= 16 else torch.arange(2**bits - 2**16, 2**bits)
    assert (decode(codes, bits).diff() > 0).all()


@DEPTHS
def test_quantising_is_odd_and_so_adds_no_bias(bits: int) -> None:
    signal = ramp()
    codes = encode(signal, bits)
    assert torch.equal(encode(-signal, bits), 2**bits - codes)
    assert torch.equal(decode(2**bits - codes, bits), -decode(codes, bits))
    half_steps = (torch.arange(2 ** min(bits, 12)).double() + 0.5) * step(bits)  # ties go neither way
    assert torch.equal(quantise(-half_steps, bits), 2**bits - quantise(half_steps, bits))


@DEPTHS
def test_mean_error_of_a_sine_is_nothing(bits: int) -> None:
    error = decode(encode(sine(), bits), bits).double() - sine().double()
    assert abs(float(error.mean())) < 1e-7


@pytest.mark.parametrize(("bits", "expected_db"), [(8, 38), (12, 59), (16, 80), (20, 102), (24, 125)])
def test_signal_to_noise_of_a_full_scale_sine(bits: int, expected_db: float) -> None:
    """3 · 4^bits / ln(2^bits)^2 (Bennett's approximation), which holds for any loud signal."""
    formula_db = 10 * math.log10(3 * 4**bits / math.log(2**bits) ** 2)
    assert formula_db == pytest.approx(expected_db, abs=0.5)
    assert snr_db(sine(), bits) == pytest.approx(formula_db, abs=0.5)


@pytest.mark.parametrize("bits", [12, 16, 24])
def test_signal_to_noise_hardly_falls_with_level(bits: int) -> None:
    assert snr_db(sine(), bits) - snr_db(sine(0.01), bits) < 1.0


def test_gradient_flows_through_compress_and_expand() -> None:
    signal = torch.tensor([0.3, -0.7], requires_grad=True)
    expand(compress(signal, 8), 8).sum().backward()
    torch.testing.assert_close(signal.grad, torch.ones(2))


def test_any_shape_is_kept() -> None:
    signal = torch.rand(2, 1, 5)
    assert encode(signal, 8).shape == decode(encode(signal, 8), 8).shape == (2, 1, 5)


@pytest.mark.parametrize("bits", [-1, 1, 25])
def test_other_depths_are_refused(bits: int) -> None:
    with pytest.raises(SpecError, match=rf"mu-law depth must be 2 to 24 bits; got {bits}"):
        encode(torch.zeros(1), bits)
