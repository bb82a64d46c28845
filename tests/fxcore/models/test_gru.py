import numpy as np
import numpy.typing as npt
import pytest
import torch

from fxcore.models.gru import GruSpec

Array = npt.NDArray[np.float64]


def sigmoid(signal: Array) -> Array:
    return 1 / (1 + np.exp(-signal))


@pytest.mark.parametrize("layers", [1, 2])
def test_equals_the_recurrence_written_out(layers: int) -> None:
    model = GruSpec(layers=layers, hidden=3).build(torch.Generator().manual_seed(0))
    model.set_scale(0.5, 2.0)
    held = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    dry = torch.randn(1, 1, 30, generator=torch.Generator().manual_seed(1))

    hidden, expected = np.zeros((layers, 3)), []
    for sample in dry[0, 0].double().numpy() / 0.5:
        heard = np.array([sample])
        for i in range(layers):
            fed = held[f"gru.weight_ih_l{i}"] @ heard + held[f"gru.bias_ih_l{i}"]
            kept = held[f"gru.weight_hh_l{i}"] @ hidden[i] + held[f"gru.bias_hh_l{i}"]
            reset, update = sigmoid(fed[:3] + kept[:3]), sigmoid(fed[3:6] + kept[3:6])
            new = np.tanh(fed[6:] + reset * kept[6:])
            heard = hidden[i] = (1 - update) * new + update * hidden[i]
        expected.append(2.0 * (held["head.weight"] @ heard + held["head.bias"])[0])

    wet, _ = model.stream(dry, model.zero_state(1))
    np.testing.assert_allclose(wet[0, 0].numpy(), expected, rtol=0, atol=2e-6)


def test_a_state_holds_the_hidden_units_of_each_layer() -> None:
    model = GruSpec(layers=3, hidden=4).build(torch.Generator().manual_seed(0))
    assert [tuple(tensor.shape) for tensor in model.initial_state(2)] == [(2, 3, 4)]


def test_three_quarters_of_an_lstm() -> None:
    model = GruSpec(hidden=8).build(torch.Generator().manual_seed(0))
    assert model.parameter_count() == 3 * (8 * (1 + 8) + 2 * 8) + 8 + 1
