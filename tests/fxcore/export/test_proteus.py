import json
from pathlib import Path

import pytest
import torch
from torch import nn

from fxcore.errors import ExportError
from fxcore.export import Playable, export, load
from fxcore.models.lstm import LstmSpec

SETTLE_SAMPLES = 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = LstmSpec(hidden=40, skip=True).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.11, 0.37)
    return export(Playable(model, 44_100, {"name": "amp"}), "proteus", tmp_path / "amp.proteus.json")


def test_torchs_own_lstm_with_these_weights_and_the_dry_added_gives_what_we_predict(path: Path) -> None:
    """As the trainer that the format comes from builds the network."""
    held = json.loads(path.read_text())["state_dict"]
    rec, lin = nn.LSTM(1, 40, batch_first=True), nn.Linear(40, 1)
    for name, values in held.items():
        layer, _, parameter = name.partition(".")
        target = {"rec": rec, "lin": lin}[layer].get_parameter(parameter)
        target.data = torch.tensor(values).reshape(target.shape)
    dry = 0.2 * torch.randn(1, 1, 400, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        _, settled = rec(torch.zeros(1, SETTLE_SAMPLES, 1))
        wet = lin(rec(dry.transpose(1, 2), settled)[0]).transpose(1, 2) + dry
    torch.testing.assert_close(load(path).model.predict(dry), wet, rtol=0, atol=2e-6)


def test_the_file_says_what_the_player_was_compiled_for(path: Path) -> None:
    data = json.loads(path.read_text())["model_data"]
    asked = {"unit_type": "LSTM", "input_size": 1, "hidden_size": 40, "num_layers": 1, "skip": 1}
    assert {name: data[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("group", "field", "value", "message"),
    [
        ("model_data", "hidden_size", 20, "field 'hidden_size' must be 40; got 20"),
        ("model_data", "skip", 0, "field 'skip' must be 1; got 0"),
        ("state_dict", "lin.bias", [1.0, 2.0], r"field 'lin.bias' must have shape \(1,\)"),
        ("state_dict", "rec.bias_hh_l0", None, "field 'rec.bias_hh_l0' must be numbers"),
        ("state_dict", "lin.bias", [float("nan")], "field 'lin.bias' holds NaN or infinite values"),
    ],
)
def test_a_file_that_does_not_add_up_is_refused_with_the_field(
    path: Path, group: str, field: str, value: object, message: str
) -> None:
    document = json.loads(path.read_text())
    document[group][field] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=message):
        load(path)
