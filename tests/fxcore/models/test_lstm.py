import numpy as np
import numpy.typing as npt
import pytest
import torch

from fxcore.models.lstm import LstmNet, LstmSpec
from fxcore.models.recurrent import WARM_UP_SAMPLES

Array = npt.NDArray[np.float64]


def sigmoid(signal: Array) -> Array:
    return 1 / (1 + np.exp(-signal))


@pytest.mark.parametrize("layers", [1, 2])
def test_equals_the_recurrence_written_out(layers: int) -> None:
    model = LstmSpec(layers=layers, hidden=3).build(torch.Generator().manual_seed(0))
    model.set_scale(0.5, 2.0)
    held = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    dry = torch.randn(1, 1, 30, generator=torch.Generator().manual_seed(1))

    hidden, cell, expected = np.zeros((layers, 3)), np.zeros((layers, 3)), []
    for sample in dry[0, 0].double().numpy() / 0.5:
        heard = np.array([sample])
        for i in range(layers):
            gates = held[f"lstm.weight_ih_l{i}"] @ heard + held[f"lstm.weight_hh_l{i}"] @ hidden[i]
            gates += held[f"lstm.bias_ih_l{i}"] + held[f"lstm.bias_hh_l{i}"]
            into, forget, new, out = gates.reshape(4, 3)
            cell[i] = sigmoid(forget) * cell[i] + sigmoid(into) * np.tanh(new)
            heard = hidden[i] = sigmoid(out) * np.tanh(cell[i])
        expected.append(2.0 * (held["head.weight"] @ heard + held["head.bias"])[0])

    wet, _ = model.stream(dry, model.zero_state(1))
    np.testing.assert_allclose(wet[0, 0].numpy(), expected, rtol=0, atol=2e-6)


def test_without_a_skip_no_layer_passes_the_dry_by() -> None:
    """With all weights zero the output is the head's bias."""
    model = LstmSpec(hidden=4).build(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.get_parameter("head.bias").fill_(0.25)
    assert torch.equal(model.predict(torch.ones(1, 1, 10)), torch.full((1, 1, 10), 0.25))


def test_windows_settle_the_state_first() -> None:
    model = LstmSpec(hidden=4).build(torch.Generator().manual_seed(0))
    assert isinstance(model, LstmNet)
    assert model.context_samples == WARM_UP_SAMPLES
    assert model.spec.receptive_field is None
    dry = torch.zeros(1, 1, WARM_UP_SAMPLES + 5)
    dry[..., WARM_UP_SAMPLES - 1] = 1.0  # heard just before the window's outputs begin
    with torch.no_grad():
        assert not torch.allclose(model(dry), model(torch.zeros_like(dry)), atol=1e-4)


def test_a_state_holds_hidden_and_cell_of_each_layer() -> None:
    model = LstmSpec(layers=3, hidden=4).build(torch.Generator().manual_seed(0))
    assert [tuple(tensor.shape) for tensor in model.initial_state(2)] == [(2, 3, 4), (2, 3, 4)]
