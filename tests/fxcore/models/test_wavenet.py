import itertools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fxcore.errors import SpecError
from fxcore.models import FAMILIES
from fxcore.models.wavenet import Activation, WaveNet, WaveNetLayer, WaveNetSpec

Array = npt.NDArray[np.float64]


@st.composite
def specs(draw: st.DrawFn) -> WaveNetSpec:
    layers, kernel = draw(st.integers(1, 40)), draw(st.integers(2, 16))
    window = draw(st.integers(1 + (kernel - 1) * layers, 65_536))
    return WaveNetSpec(layers=layers, kernel=kernel, window=window)


def cycle(layers: int, length: int) -> tuple[int, ...]:
    return tuple(itertools.islice(itertools.cycle([2**i for i in range(length)]), layers))


def numpy_layer(
    layer: WaveNetLayer, hidden: Array, dry: Array, dilation: int, gated: bool
) -> tuple[Array, Array]:
    """A layer as Neural Amp Modeler computes it, sample by sample; (C, T) without its first samples."""
    held = {name: tensor.double().numpy() for name, tensor in layer.state_dict().items()}
    kernel, mixin, residual = held["conv.weight"], held["mixin.weight"][:, 0, 0], held["residual.weight"]
    channels, taps = hidden.shape[0], kernel.shape[-1]
    nexts, actives = [], []
    for now in range((taps - 1) * dilation, hidden.shape[1]):
        mixed = held["conv.bias"] + mixin * dry[now]
        for tap in range(taps):  # the last one hears the current sample
            mixed = mixed + kernel[:, :, tap] @ hidden[:, now - (taps - 1 - tap) * dilation]
        active = np.tanh(mixed[:channels])
        if gated:
            active = active / (1 + np.exp(-mixed[channels:]))
        actives.append(active)
        nexts.append(hidden[:, now] + residual[:, :, 0] @ active + held["residual.bias"])
    return np.stack(nexts, axis=1), np.stack(actives, axis=1)


@given(spec=specs())
def test_dilations_double_and_restart_at_1_within_the_window(spec: WaveNetSpec) -> None:
    assert len(spec.dilations) == spec.layers
    assert spec.dilations[0] == 1
    assert all(late in (2 * early, 1) for early, late in itertools.pairwise(spec.dilations))
    assert spec.receptive_field == 1 + (spec.kernel - 1) * sum(spec.dilations) <= spec.window


@given(spec=specs())
def test_the_cycle_is_the_longest_that_fits(spec: WaveNetSpec) -> None:
    fitting = [
        length
        for length in range(1, spec.layers + 1)
        if 1 + (spec.kernel - 1) * sum(cycle(spec.layers, length)) <= spec.window
    ]
    assert spec.dilations == cycle(spec.layers, max(fitting))


@pytest.mark.parametrize(
    ("layers", "window", "dilations"),
    [
        (3, 4, (1, 1, 1)),
        (3, 5, (1, 2, 1)),
        (3, 8, (1, 2, 4)),
        (6, 16, (1, 2, 4, 1, 2, 4)),
        (10, 1024, tuple(2**i for i in range(10))),
    ],
)
def test_dilations_known_by_hand(layers: int, window: int, dilations: tuple[int, ...]) -> None:
    assert WaveNetSpec(layers=layers, window=window, kernel=2).dilations == dilations


def test_a_window_shorter_than_its_layers_is_refused() -> None:
    message = "20 layers of kernel 3 see at least 41 samples; got window 40; take fewer layers or a longer"
    with pytest.raises(SpecError, match=message):
        FAMILIES.parse({"kind": "wavenet", "layers": 20, "window": 40, "kernel": 3})
    assert WaveNetSpec(layers=20, window=41, kernel=3).dilations == (1,) * 20


@pytest.mark.parametrize("gated", [False, True])
def test_the_net_is_the_arithmetic_of_neural_amp_modeler(gated: bool) -> None:
    spec = WaveNetSpec(layers=3, window=20, channels=3, kernel=3, gated=gated)
    model = spec.build(torch.Generator().manual_seed(0))
    assert isinstance(model, WaveNet)
    model.set_scale(0.5, 2.0)
    dry = torch.randn(1, 1, spec.receptive_field + 15, generator=torch.Generator().manual_seed(1))
    scaled = dry[0, 0].double().numpy() / 0.5
    held = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    hidden, summed = held["arrays.0.rechannel.weight"][:, 0] * scaled, np.zeros((3, 16))
    for layer, dilation in zip(
        model.get_submodule("arrays.0.layers").children(), spec.dilations, strict=True
    ):
        assert isinstance(layer, WaveNetLayer)
        hidden, active = numpy_layer(layer, hidden, scaled[-hidden.shape[1] :], dilation, gated)
        summed += active[:, -16:]
    expected = held["arrays.0.head.weight"][0, :, 0] @ summed + held["arrays.0.head.bias"]

    with torch.no_grad():
        raw = model(dry)
    np.testing.assert_allclose(raw[0, 0].numpy(), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.decode(raw)[0, 0].numpy(), 2.0 * expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("dilation", [1, 3])
def test_one_layer_alone_equals_its_arithmetic(gated: bool, dilation: int) -> None:
    layer = WaveNetLayer(4, 2, dilation, gated)
    rng = torch.Generator().manual_seed(2)
    hidden, dry = torch.randn(1, 4, 12, generator=rng), torch.randn(1, 1, 12, generator=rng)
    with torch.no_grad():
        after, active, past = layer(hidden, dry, None)
    expected = numpy_layer(layer, hidden[0].double().numpy(), dry[0, 0].double().numpy(), dilation, gated)
    np.testing.assert_allclose(after[0].numpy(), expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(active[0].numpy(), expected[1], rtol=0, atol=1e-6)
    assert past is None


@pytest.mark.parametrize(("activation", "below"), [("relu", 0.0), ("leaky_relu", 0.01)])
def test_a_rectified_layer_keeps_what_is_positive(activation: Activation, below: float) -> None:
    layer = WaveNetLayer(2, 2, 1, False, activation)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.mixin.weight.fill_(1.0)
    dry = torch.tensor([[[9.0, -2.0, 0.0, 3.0]]])
    _, active, _ = layer(torch.zeros(1, 2, 4), dry, None)
    expected = torch.tensor([-2.0 * below, 0.0, 3.0]).expand(1, 2, 3)
    torch.testing.assert_close(active, expected)
