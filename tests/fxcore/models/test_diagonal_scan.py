import pytest
import torch
from torch import Tensor

from fxcore.models.diagonal_scan import CHUNK_SAMPLES, CHUNKS_AT_ONCE, chunk_of, scan

CHANNELS, STATES, BATCH = 3, 2, 2
LONG = CHUNK_SAMPLES * (2 * CHUNKS_AT_ONCE + 3)


def system(slowest: float = 1e-3) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of poles (H, N), weights (H, N), direct gains (H,)."""
    rng = torch.Generator().manual_seed(0)
    decay = slowest + 0.2 * torch.rand(CHANNELS, STATES, generator=rng)
    log_pole = torch.complex(-decay, 3.0 * torch.rand(CHANNELS, STATES, generator=rng))
    weight = torch.randn(CHANNELS, STATES, dtype=torch.complex64, generator=rng)
    return log_pole, weight, torch.randn(CHANNELS, generator=rng)


def noise(length: int, seed: int = 1) -> Tensor:
    return torch.randn(CHANNELS, BATCH, length, generator=torch.Generator().manual_seed(seed))


def some_state() -> Tensor:
    rng = torch.Generator().manual_seed(2)
    return torch.randn(CHANNELS, BATCH, STATES, dtype=torch.complex64, generator=rng)


@pytest.mark.parametrize(
    "length", [1, CHUNK_SAMPLES - 1, CHUNK_SAMPLES, CHUNK_SAMPLES + 1, 3 * CHUNK_SAMPLES, LONG, LONG + 7]
)
def test_equals_the_recurrence_sample_by_sample(length: int) -> None:
    log_pole, weight, direct = system()
    signal, state = noise(length), some_state()
    out, last = scan(signal, state, chunk_of(log_pole, weight, direct))

    expected, held = [], state.to(torch.complex128)
    for sample in signal.double().unbind(-1):  # (H, B)
        held = held * log_pole.to(torch.complex128).exp()[:, None] + sample[..., None]
        expected.append((weight[:, None] * held).real.sum(-1) + direct[:, None] * sample)
    torch.testing.assert_close(out, torch.stack(expected, -1).float(), rtol=0, atol=5e-5)
    torch.testing.assert_close(last, held.to(torch.complex64), rtol=0, atol=5e-5)


def test_an_impulse_rings_as_the_powers_of_the_pole() -> None:
    chunk = chunk_of(torch.tensor([[-0.1 + 0j]]), torch.tensor([[1.0 + 0j]]), torch.tensor([0.5]))
    impulse = torch.zeros(1, 1, 200)
    impulse[..., 0] = 1.0
    out, _ = scan(impulse, torch.zeros(1, 1, 1, dtype=torch.complex64), chunk)
    expected = torch.exp(-0.1 * torch.arange(200.0))
    expected[0] += 0.5
    torch.testing.assert_close(out[0, 0], expected, rtol=0, atol=1e-6)


def test_poles_at_one_sum_up_without_forgetting() -> None:
    """A decay of a million samples: after 100,000 the first sample still counts for 0.9."""
    chunk = chunk_of(torch.tensor([[-1e-6 + 0j]]), torch.tensor([[1.0 + 0j]]), torch.zeros(1))
    impulse = torch.zeros(1, 1, 100_000)
    impulse[..., 0] = 1.0
    out, _ = scan(impulse, torch.zeros(1, 1, 1, dtype=torch.complex64), chunk)
    assert float(out[0, 0, -1]) == pytest.approx(0.9048, abs=1e-3)


def test_gradients_are_those_of_the_recurrence() -> None:
    log_pole, weight, direct = (part.requires_grad_() for part in system())
    length = 2 * CHUNK_SAMPLES + 5
    signal, state = noise(length), some_state()
    target = noise(length, seed=3)

    out, _ = scan(signal, state, chunk_of(log_pole, weight, direct))
    ours = torch.autograd.grad((out * target).sum(), [log_pole, weight, direct])
    held, loss = state, torch.zeros(())
    for n in range(length):
        held = held * log_pole.exp()[:, None] + signal[..., n, None]
        sample = (weight[:, None] * held).real.sum(-1) + direct[:, None] * signal[..., n]
        loss = loss + (sample * target[..., n]).sum()
    theirs = torch.autograd.grad(loss, [log_pole, weight, direct])
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-3, atol=1e-3)
