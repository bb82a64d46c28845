import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fxcore.models.conv import ConvNet, ConvSpec

EVERY_SHAPE = given(layers=st.integers(1, 16), window=st.integers(2, 65_536))


@EVERY_SHAPE
def test_the_window_is_covered_by_as_many_layers_as_asked_for(layers: int, window: int) -> None:
    spec = ConvSpec(layers=layers, window=window)
    kernels, dilations = spec.shape
    assert len(kernels) == len(dilations) == layers
    assert window <= spec.receptive_field < window + max(dilations)


@EVERY_SHAPE
def test_the_kernel_is_the_smallest_that_covers_the_window(layers: int, window: int) -> None:
    kernel = ConvSpec(layers=layers, window=window).kernel
    assert kernel**layers >= window
    assert kernel == 2 or (kernel - 1) ** layers < window


@EVERY_SHAPE
def test_each_dilation_is_the_product_of_the_kernels_before(layers: int, window: int) -> None:
    kernels, dilations = ConvSpec(layers=layers, window=window).shape
    wide = sum(kernel > 1 for kernel in kernels)
    assert dilations[:wide] == [math.prod(kernels[:i]) for i in range(wide)]
    assert kernels[wide:] == [1] * (layers - wide)  # what the window leaves over is pointwise


@pytest.mark.parametrize(
    ("layers", "window", "kernels", "dilations"),
    [
        (1, 64, [64], [1]),
        (3, 64, [4, 4, 4], [1, 4, 16]),
        (5, 512, [4, 4, 4, 4, 2], [1, 4, 16, 64, 256]),
        (4, 4, [2, 2, 1, 1], [1, 2, 1, 1]),
        (2, 7, [3, 3], [1, 3]),
    ],
)
def test_shapes_known_by_hand(layers: int, window: int, kernels: list[int], dilations: list[int]) -> None:
    assert ConvSpec(layers=layers, window=window).shape == (kernels, dilations)


def test_equals_the_strided_net_of_the_thesis_slid_over_every_window() -> None:
    """Layers of stride k that shrink one window to one sample, as against dilations k^i over all."""
    spec = ConvSpec(layers=3, window=27, channels=6)
    model = spec.build(torch.Generator().manual_seed(0))
    assert isinstance(model, ConvNet)
    dry = torch.randn(1, 1, 27 + 30, generator=torch.Generator().manual_seed(1))
    windows = dry.unfold(-1, 27, 1).transpose(1, 2).reshape(-1, 1, 27)  # one a sample
    weights = model.state_dict()
    with torch.no_grad():
        hidden = windows
        for i, kernel in enumerate(spec.shape[0]):
            held = weights[f"convs.{i}.weight"], weights[f"convs.{i}.bias"]
            hidden = F.conv1d(hidden, *held, stride=kernel).relu()
        strided = F.conv1d(hidden, weights["linear.0.weight"], weights["linear.0.bias"])
        assert strided.shape == (31, 1, 1)
        torch.testing.assert_close(model(dry)[0, 0], strided[:, 0, 0], rtol=0, atol=1e-6)


def test_equals_the_pooled_net_of_the_thesis_slid_over_every_window() -> None:
    """Strided layers, max-pooling over what remains of the window, then linear layers."""
    spec = ConvSpec(layers=2, window=27, channels=6, pool=3, linear=3)
    assert spec.shape == ([3, 3], [1, 3])
    assert spec.receptive_field == 27
    model = spec.build(torch.Generator().manual_seed(0))
    dry = torch.randn(1, 1, 27 + 30, generator=torch.Generator().manual_seed(1))
    hidden = dry.unfold(-1, 27, 1).transpose(1, 2).reshape(-1, 1, 27)
    held = model.state_dict()
    with torch.no_grad():
        for i in range(2):
            hidden = F.conv1d(hidden, held[f"convs.{i}.weight"], held[f"convs.{i}.bias"], stride=3).relu()
        assert hidden.shape == (31, 6, 3)
        hidden = F.max_pool1d(hidden, 3).flatten(1)
        for i in range(3):
            hidden = F.linear(hidden, held[f"linear.{i}.weight"][..., 0], held[f"linear.{i}.bias"])
            hidden = hidden.relu() if i < 2 else hidden
        torch.testing.assert_close(model(dry)[0, 0], hidden[:, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("pool", [1, 2, 5, 64])
def test_a_pooled_window_is_covered(pool: int) -> None:
    spec = ConvSpec(layers=3, window=64, pool=pool)
    assert 64 <= spec.receptive_field < 2 * 64
    assert spec.receptive_field % pool == 0


@pytest.mark.parametrize("block_samples", [1, 7, 500])
def test_a_pooled_net_streams_as_it_trains(block_samples: int) -> None:
    model = ConvSpec(layers=2, window=24, channels=4, pool=3, linear=2).build(
        torch.Generator().manual_seed(0)
    )
    dry = torch.randn(2, 1, 300, generator=torch.Generator().manual_seed(1))
    state, blocks = model.initial_state(2), []
    for block in dry.split(block_samples, dim=-1):
        wet, state = model.stream(block, state)
        blocks.append(wet)
    silence = torch.zeros(2, 1, model.context_samples)
    with torch.no_grad():
        whole = model.decode(model(torch.cat([silence, dry], dim=-1)))
    torch.testing.assert_close(torch.cat(blocks, dim=-1), whole, rtol=0, atol=1e-6)


def test_the_pooled_receptive_field_is_exact() -> None:
    spec = ConvSpec(layers=3, window=40, channels=8, pool=2, linear=3)
    model = spec.build(torch.Generator().manual_seed(0))
    dry = torch.randn(64, 1, model.context_samples + 10, generator=torch.Generator().manual_seed(1))
    dry.requires_grad_()
    model(dry)[..., -1].square().sum().backward()
    assert dry.grad is not None
    heard = dry.grad.abs().sum(dim=(0, 1))
    field = spec.receptive_field
    assert field == 2 * 27
    assert not heard[:-field].any()
    assert (heard[-field:] > 0).all()
