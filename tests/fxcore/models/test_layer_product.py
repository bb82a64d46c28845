import pytest
import torch
from torch import Tensor, nn

from fxcore.models.layer_product import Activation, activate, layer_played, layer_product

CHANNELS, SUMMED = 5, 40


def convolutions(kernel: int, dilation: int) -> tuple[nn.Conv1d, nn.Conv1d, nn.Conv1d]:
    """Conv, mixin and residual of one layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return (
            nn.Conv1d(CHANNELS, CHANNELS, kernel, dilation=dilation),
            nn.Conv1d(1, CHANNELS, 1, bias=False),
            nn.Conv1d(CHANNELS, CHANNELS, 1),
        )


def layer(
    convs: tuple[nn.Conv1d, nn.Conv1d, nn.Conv1d], activation: Activation, *signals: Tensor
) -> tuple[Tensor, Tensor]:
    """The layer as its definition has it."""
    (conv, mixin, residual), (hidden, dry, summed) = convs, signals
    mixed = conv(hidden)
    active = activate(mixed + mixin(dry[..., -mixed.shape[-1] :]), activation)
    after = hidden[..., -active.shape[-1] :] + residual(active)
    return after, summed + active[..., -summed.shape[-1] :]


def signals(batch: int) -> list[Tensor]:
    """Hidden (B, C, 70), a longer dry and a shorter sum."""
    rng = torch.Generator().manual_seed(1)
    shapes = ((batch, CHANNELS, 70), (batch, 1, 90), (batch, CHANNELS, SUMMED))
    return [torch.randn(shape, generator=rng).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize(("kernel", "dilation"), [(2, 1), (3, 8), (1, 1), (6, 5)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("followed", [True, False])
def test_a_layer_and_its_gradients_are_those_of_the_definition(
    activation: Activation, kernel: int, dilation: int, batch: int, followed: bool
) -> None:
    convs, inputs = convolutions(kernel, dilation), signals(batch)
    conv, mixin, residual = convs
    hidden, dry, summed = inputs
    after, total = layer_product(
        conv, mixin, residual if followed else None, activation, hidden, dry, summed.clone()
    )
    expected = layer(convs, activation, *inputs)
    torch.testing.assert_close(total, expected[1], rtol=0, atol=1e-5)
    outputs, wanted = [total], [expected[1]]
    if followed:
        torch.testing.assert_close(after, expected[0], rtol=0, atol=1e-5)
        outputs, wanted = [total, after], [expected[1], expected[0]]
    wrt = [
        *inputs,
        *(p for module in convs for p in module.parameters() if followed or module is not residual),
    ]
    ours = torch.autograd.grad(sum(out.square().sum() for out in outputs), wrt)
    theirs = torch.autograd.grad(sum(out.square().sum() for out in wanted), wrt)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-4, atol=1e-4)


def test_the_dry_costs_no_gradient_where_none_is_asked_for() -> None:
    conv, mixin, residual = convolutions(3, 2)
    hidden, dry, summed = signals(1)
    _, total = layer_product(conv, mixin, residual, "tanh", hidden, dry.detach(), summed.clone())
    total.sum().backward()
    assert dry.grad is None
    assert hidden.grad is not None


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize(("kernel", "dilation"), [(2, 1), (3, 8), (1, 1), (6, 5)])
@pytest.mark.parametrize("samples", [1, 64, 1000])
@torch.no_grad()
def test_blocks_are_played_as_the_definition_has_them(
    activation: Activation, kernel: int, dilation: int, samples: int
) -> None:
    convs, memory = convolutions(kernel, dilation), (kernel - 1) * dilation
    rng = torch.Generator().manual_seed(1)
    joined = torch.randn(1, CHANNELS, memory + samples, generator=rng)
    dry, summed = (torch.randn(1, channels, samples, generator=rng) for channels in (1, CHANNELS))
    total = summed.clone()
    after, past = layer_played(*convs, activation, joined[..., memory:], dry, total, joined[..., :memory])
    expected, expected_sum = layer(convs, activation, joined, dry, summed)
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(total, expected_sum, rtol=0, atol=1e-5)
    assert torch.equal(past, joined[..., samples:])
