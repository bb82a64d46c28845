from typing import get_args

import pytest
import torch

from fxcore.models.nam_wavenet import SIZES, NamWaveNetSpec, Size
from fxcore.models.wavenet import Shape

BY_SIZE = pytest.mark.parametrize("size", list(SIZES))


def test_every_size_has_a_shape() -> None:
    assert tuple(SIZES) == get_args(Size)


@pytest.mark.parametrize(
    ("size", "weights", "receptive_field"),
    [
        ("a1_standard", 13_802, 4_093),
        ("a1_lite", 6_554, 4_093),
        ("a1_feather", 3_026, 4_093),
        ("a1_nano", 842, 4_093),
        ("a2_full", 12_146, 6_347),
        ("a2_lite", 1_871, 6_347),
    ],
)
def test_weights_and_receptive_field_are_those_of_neural_amp_modeler(
    size: Size, weights: int, receptive_field: int
) -> None:
    spec = NamWaveNetSpec(size=size)
    model = spec.build(torch.Generator().manual_seed(0))
    output_scale = 1  # which Neural Amp Modeler counts too
    assert model.parameter_count() + output_scale == weights
    assert spec.receptive_field == model.context_samples + 1 == receptive_field


@BY_SIZE
def test_the_receptive_field_is_heard_to_its_end_and_no_further(size: Size) -> None:
    spec = NamWaveNetSpec(size=size)
    model = spec.build(torch.Generator().manual_seed(0)).double()
    dry = torch.zeros(1, 1, spec.receptive_field + 1, dtype=torch.float64, requires_grad=True)
    model(dry)[..., -1].sum().backward()
    assert dry.grad is not None
    assert dry.grad[0, 0, 0] == 0.0
    assert dry.grad[0, 0, 1] != 0.0
    assert dry.grad[0, 0, -1] != 0.0


@BY_SIZE
def test_sizes_stream_as_they_train(size: Size) -> None:
    spec = NamWaveNetSpec(size=size)
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    dry = 0.2 * torch.randn(1, 1, model.context_samples + 100, generator=torch.Generator().manual_seed(1))
    state, blocks = model.zero_state(1), []
    for block in dry.split(999, dim=-1):
        wet, state = model.stream(block, state)
        blocks.append(wet)
    with torch.no_grad():
        whole = model.decode(model(dry))
    played = torch.cat(blocks, dim=-1)[..., -100:]
    torch.testing.assert_close(played, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_a1_is_two_arrays_the_second_half_as_wide() -> None:
    first, second = SIZES["a1_standard"].arrays
    assert (first.channels, second.channels) == (16, 8)
    assert first.dilations == second.dilations == tuple(2**i for i in range(10))
    assert SIZES["a1_standard"][1:] == Shape((), "tanh", False, 1)[1:]
    for size in ("a1_lite", "a1_feather", "a1_nano"):  # the same cycles, cut elsewhere
        first, second = SIZES[size].arrays
        assert (*first.dilations, *second.dilations) == tuple(2**i for i in range(10)) * 2
        assert len(first.dilations) == 7


def test_a2_is_one_array_of_leaky_relus_with_a_head_of_16() -> None:
    for size in ("a2_full", "a2_lite"):
        (array,) = SIZES[size].arrays
        assert array.kernels == (6,) * 14 + (15, 15) + (6,) * 7
        cycle = (1, 3, 7, 17, 41, 101, 239)
        assert array.dilations == (*cycle, *cycle, 1, 13, *cycle)
        assert SIZES[size][1:] == ("leaky_relu", False, 16)
