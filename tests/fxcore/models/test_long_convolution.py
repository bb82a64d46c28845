import pytest
import torch
from scipy import signal
from torch import Tensor

from fxcore.models.long_convolution import DIRECT_TAPS, Filters, LongConvolution


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def written_out(dry: Tensor, taps: Tensor) -> Tensor:
    """Each channel (B, C, T) through its filter (C, L), summed up to (B, 1, T)."""
    whole = signal.fftconvolve(dry.double().numpy(), taps.double().numpy()[None], axes=2)
    return torch.from_numpy(whole[..., : dry.shape[-1]].sum(axis=1, keepdims=True)).float()


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 512, 513, 4_096, 4_097, 9_000])
@pytest.mark.parametrize("block_samples", [64, 1_000, 65_536])
def test_blocks_of_any_size_give_the_convolution(length: int, block_samples: int) -> None:
    taps, dry = noise(2, length) / length**0.5, noise(2, 2, 14_000, seed=1)
    convolution, played = LongConvolution(taps), []
    state = convolution.zero_state(2)
    assert len(state) == convolution.state_tensors
    for block in dry.split(block_samples, dim=-1):
        wet, state = convolution.step(block, state)
        played.append(wet)
    torch.testing.assert_close(torch.cat(played, dim=-1), written_out(dry, taps), rtol=0, atol=1e-5)


def test_single_samples_give_the_convolution() -> None:
    taps, dry = noise(1, 700) / 700**0.5, noise(1, 1, 1_500, seed=1)
    convolution, played = LongConvolution(taps), []
    state = convolution.zero_state(1)
    for sample in dry.split(1, dim=-1):
        wet, state = convolution.step(sample, state)
        played.append(wet)
    torch.testing.assert_close(torch.cat(played, dim=-1), written_out(dry, taps), rtol=0, atol=1e-5)


@pytest.mark.parametrize("length", [5, DIRECT_TAPS, DIRECT_TAPS + 1])
def test_windows_hold_what_is_heard_after_their_context(length: int) -> None:
    filters = Filters(2, length)
    dry = noise(3, 2, length - 1 + 400)
    torch.testing.assert_close(
        filters(dry), written_out(dry, filters.taps.detach())[..., length - 1 :], rtol=0, atol=1e-5
    )


def test_a_state_can_be_played_from_twice() -> None:
    convolution = LongConvolution(noise(1, 600))
    _, state = convolution.step(noise(1, 1, 300), convolution.zero_state(1))
    block = noise(1, 1, 700, seed=2)
    first, _ = convolution.step(block, state)
    again, _ = convolution.step(block, state)
    assert torch.equal(first, again)


def test_filters_are_played_as_they_are_now() -> None:
    filters, dry = Filters(1, 600), noise(1, 1, 100)
    before = filters.convolution()
    assert filters.convolution() is before
    with torch.no_grad():
        filters.taps.mul_(2.0)
    old, _ = before.step(dry, before.zero_state(1))
    new, _ = filters.convolution().step(dry, filters.convolution().zero_state(1))
    torch.testing.assert_close(new, 2 * old)
