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
        strided = F.conv1d(hidden, weights["head.weight"], weights["head.bias"])
        assert strided.shape == (31, 1, 1)
        torch.testing.assert_close(model(dry)[0, 0], strided[:, 0, 0], rtol=0, atol=1e-6)
