"""`.nam` files against players written here from the format's description, in NumPy."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fxcore.errors import ExportError
from fxcore.export import Playable, export, load
from fxcore.models import FAMILIES, EffectModel

Array = npt.NDArray[np.float64]
LSTM = {"kind": "lstm", "layers": 2, "hidden": 4}
WAVENET = {"kind": "wavenet", "layers": 5, "window": 20, "channels": 3, "kernel": 3, "gated": True}


def model_of(settings: dict[str, Any]) -> EffectModel:
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.11, 0.37)
    return model


def exported(settings: dict[str, Any], folder: Path) -> Path:
    return export(Playable(model_of(settings), 44_100, {"name": "amp"}), "nam", folder / "model.nam")


def document_of(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text())
    assert isinstance(document, dict)
    return document


class Reader:
    """The flat list of weights, taken piece by piece."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.weights = np.array(document["weights"])

    def take(self, *shape: int) -> Array:
        count = math.prod(shape)
        taken, self.weights = self.weights[:count], self.weights[count:]
        return taken.reshape(shape)


def sigmoid(signal: Array) -> Array:
    return 1 / (1 + np.exp(-signal))


def play_lstm(document: dict[str, Any], dry: Array) -> Array:
    """From the file's own starting state; (T,) to (T,)."""
    reader, size = Reader(document), document["config"]["hidden_size"]
    layers = []
    for i in range(document["config"]["num_layers"]):
        rows, bias = reader.take(4 * size, (size if i else 1) + size), reader.take(4 * size)
        layers.append([rows, bias, reader.take(size), reader.take(size)])
    head, offset = reader.take(size), reader.take(1)
    wet = []
    for sample in dry:
        heard = np.array([sample])
        for layer in layers:
            rows, bias, hidden, cell = layer
            into, forget, new, out = (rows @ np.concatenate([heard, hidden]) + bias).reshape(4, size)
            cell = sigmoid(forget) * cell + sigmoid(into) * np.tanh(new)
            heard = sigmoid(out) * np.tanh(cell)
            layer[2:] = [heard, cell]
        wet.append(head @ heard + offset[0])
    assert reader.weights.size == 0
    return np.array(wet)


def play_wavenet(document: dict[str, Any], dry: Array) -> Array:
    """After a silence as long as the receptive field; (T,) to (T,)."""
    (array,), reader = document["config"]["layers"], Reader(document)
    channels, taps, dilations = array["channels"], array["kernel_size"], array["dilations"]
    width = channels * (2 if array["gated"] else 1)
    heard = np.concatenate([np.zeros((taps - 1) * sum(dilations)), dry])
    hidden, summed = reader.take(channels, 1) * heard, np.zeros((channels, dry.size))
    for dilation in dilations:
        kernel, bias = reader.take(width, channels, taps), reader.take(width, 1)
        length = hidden.shape[1] - (taps - 1) * dilation
        mixed = bias + sum(kernel[:, :, k] @ hidden[:, k * dilation :][:, :length] for k in range(taps))
        mixed = mixed + reader.take(width, 1) * heard[-length:]
        active = np.tanh(mixed[:channels]) * (sigmoid(mixed[channels:]) if array["gated"] else 1.0)
        hidden = hidden[:, -length:] + reader.take(channels, channels) @ active + reader.take(channels, 1)
        summed = summed + active[:, -dry.size :]
    head, offset, head_scale = reader.take(channels), reader.take(1), reader.take(1)
    assert reader.weights.size == 0
    assert head_scale[0] == pytest.approx(document["config"]["head_scale"])
    wet: Array = head_scale[0] * (head @ summed + offset[0])
    return wet


@pytest.mark.parametrize(
    ("settings", "play"),
    [
        ({**LSTM, "layers": 1}, play_lstm),
        (LSTM, play_lstm),
        (WAVENET, play_wavenet),
        ({**WAVENET, "gated": False, "kernel": 2}, play_wavenet),
    ],
    ids=["lstm-1", "lstm-2", "wavenet-gated", "wavenet"],
)
def test_a_player_that_follows_the_format_gives_what_we_predict(
    settings: dict[str, Any], play: Callable[[dict[str, Any], Array], Array], tmp_path: Path
) -> None:
    dry = 0.2 * torch.randn(600, generator=torch.Generator().manual_seed(1))
    dry[:50] = 0.0
    wet = model_of(settings).predict(dry[None, None])[0, 0].numpy()
    document = document_of(exported(settings, tmp_path))
    np.testing.assert_allclose(play(document, dry.double().numpy()), wet, rtol=0, atol=2e-6)


@pytest.mark.parametrize("settings", [LSTM, WAVENET], ids=["lstm", "wavenet"])
def test_the_file_says_what_players_read(settings: dict[str, Any], tmp_path: Path) -> None:
    document = document_of(exported(settings, tmp_path))
    assert (document["version"], document["sample_rate"]) == ("0.5.4", 44_100)
    assert document["architecture"] == {"lstm": "LSTM", "wavenet": "WaveNet"}[settings["kind"]]
    assert document["metadata"]["name"] == "amp"


def test_the_order_of_the_files_keys_does_not_matter(tmp_path: Path) -> None:
    path = exported(WAVENET, tmp_path)
    document = document_of(path)
    array = document["config"]["layers"][0]
    document["config"]["layers"][0] = dict(reversed(array.items()))
    path.write_text(json.dumps(dict(reversed(document.items()))))
    dry = torch.randn(1, 1, 200, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(load(path).model.predict(dry), model_of(WAVENET).predict(dry))


def test_a_file_without_a_rate_is_at_48_khz(tmp_path: Path) -> None:
    path = exported(LSTM, tmp_path)
    document = document_of(path)
    del document["sample_rate"], document["metadata"]
    path.write_text(json.dumps(document))
    assert (load(path).sample_rate, load(path).facts) == (48_000, {})


@pytest.mark.parametrize(
    ("settings", "first", "second"),
    [(LSTM, "hidden_size", "num_layers"), ({**WAVENET, "channels": 4}, "channels", "kernel_size")],
    ids=["lstm", "wavenet"],
)
def test_two_fields_that_changed_places_are_refused(
    settings: dict[str, Any], first: str, second: str, tmp_path: Path
) -> None:
    path = exported(settings, tmp_path)
    document = document_of(path)
    fields = document["config"]["layers"][0] if "layers" in document["config"] else document["config"]
    fields[first], fields[second] = fields[second], fields[first]
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=r"'weights' (has|ends after)"):
        load(path)


ARRAY = ("config", "layers", 0)


@pytest.mark.parametrize(
    ("settings", "where", "value", "message"),
    [
        (LSTM, ("weights",), "drop last", "'weights' ends after 260 values, more are needed"),
        (LSTM, ("weights",), "one more", "'weights' has 262 values, 261 are needed"),
        (LSTM, ("weights",), "none", "'weights' must be a list of numbers"),
        (LSTM, ("weights", 3), [1.0], "'weights' must be a list of numbers"),
        (LSTM, ("weights", 3), None, "'weights' must be a list of numbers"),
        (LSTM, ("weights", 3), math.nan, "hold NaN or infinite values"),
        (LSTM, ("weights", 3), 1e300, "hold NaN or infinite values"),
        (LSTM, ("config",), [4, 2], "'config' must hold fields"),
        (
            LSTM,
            ("config", "hidden_size"),
            "missing",
            "'hidden_size' must be a whole number from 1 on; got None",
        ),
        (LSTM, ("config", "num_layers"), 0, "'num_layers' must be a whole number from 1 on; got 0"),
        (LSTM, ("config", "num_layers"), 1.5, "'num_layers' must be a whole number"),
        (LSTM, ("config", "input_size"), 2, "'input_size' must be 1 to be read here; got 2"),
        (LSTM, ("architecture",), "ConvNet", "architecture 'ConvNet' is not read here; known: LSTM, WaveNet"),
        (LSTM, ("architecture",), "WaveNet", "'layers' must hold one layer array"),
        (LSTM, ("architecture",), "missing", "field 'architecture' is missing"),
        (LSTM, ("sample_rate",), "fast", "'sample_rate' must be a whole number from 1 on; got 'fast'"),
        (WAVENET, ("config", "layers"), [], "'layers' must hold one layer array"),
        (WAVENET, ("config", "layers"), 3, "'layers' must hold one layer array"),
        (WAVENET, ("config", "head"), {"channels": 3}, "'head' must be None to be read here"),
        (WAVENET, (*ARRAY, "activation"), "ReLU", "'activation' must be 'Tanh' to be read here; got 'ReLU'"),
        (WAVENET, (*ARRAY, "channels"), 4, "'weights' ends after"),
        (WAVENET, (*ARRAY, "gated"), False, "'weights' has"),
        (WAVENET, (*ARRAY, "kernel_size"), "missing", "'kernel_size' must be a whole number from 1 on"),
        (
            WAVENET,
            (*ARRAY, "dilations"),
            [1, 2, 4, 8, 3],
            "dilations .* are not read here; doubling cycles are",
        ),
        (
            WAVENET,
            (*ARRAY, "dilations"),
            [2, 1, 2, 1, 2],
            "dilations .* are not read here; doubling cycles are",
        ),
        (WAVENET, (*ARRAY, "dilations"), [1, 2, -4, 8, 1], "'dilations' must be a list of numbers from 1 on"),
        (WAVENET, (*ARRAY, "dilations"), "missing", "'dilations' must be a list of numbers from 1 on"),
    ],
)
def test_a_file_that_does_not_add_up_is_refused_with_the_field(
    settings: dict[str, Any], where: tuple[str | int, ...], value: Any, message: str, tmp_path: Path
) -> None:
    path = exported(settings, tmp_path)
    document: Any = document_of(path)
    *parents, last = where
    held = document
    for parent in parents:
        held = held[parent]
    if value == "missing":
        del held[last]
    elif value == "drop last":
        held[last].pop()
    elif value == "one more":
        held[last].append(0.0)
    else:
        held[last] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
