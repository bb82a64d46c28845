"""RTNeural's JSON against players written here in NumPy, from its documented layout."""

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
LSTM = {"kind": "lstm", "hidden": 8}
GRU = {"kind": "gru", "hidden": 8}
CONV = {"kind": "conv", "layers": 3, "window": 20, "channels": 4}
SETTLE_SAMPLES = 1024


def model_of(settings: dict[str, Any]) -> EffectModel:
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.11, 0.37)
    return model


def written(settings: dict[str, Any], folder: Path, kind: str = "rtneural") -> Path:
    extension = {"rtneural": ".rtneural.json", "aidax": ".aidax"}[kind]
    return export(Playable(model_of(settings), 44_100, {"name": "amp"}), kind, folder / f"model{extension}")


def dry_signal(samples: int = 400) -> Array:
    return 0.2 * np.random.default_rng(1).standard_normal(samples).astype(np.float32).astype(np.float64)


def sigmoid(signal: Array) -> Array:
    return 1 / (1 + np.exp(-signal))


def lstm_cell(layer: dict[str, Any]) -> Callable[[Array], Array]:
    into, back, bias = (np.array(w) for w in layer["weights"])
    size = layer["shape"][-1]
    held = [np.zeros(size), np.zeros(size)]

    def play(heard: Array) -> Array:
        i, f, c, o = (heard @ into + held[0] @ back + bias).reshape(4, size)
        held[1] = sigmoid(f) * held[1] + sigmoid(i) * np.tanh(c)
        held[0] = sigmoid(o) * np.tanh(held[1])
        return held[0]

    return play


def gru_cell(layer: dict[str, Any]) -> Callable[[Array], Array]:
    into, back, (bias, bias_back) = (np.array(w) for w in layer["weights"])
    size = layer["shape"][-1]
    held = [np.zeros(size)]

    def play(heard: Array) -> Array:
        z_in, r_in, h_in = (heard @ into + bias).reshape(3, size)
        z_back, r_back, h_back = (held[0] @ back + bias_back).reshape(3, size)
        z, r = sigmoid(z_in + z_back), sigmoid(r_in + r_back)
        held[0] = (1 - z) * np.tanh(h_in + r * h_back) + z * held[0]
        return held[0]

    return play


def conv_cell(layer: dict[str, Any]) -> Callable[[Array], Array]:
    weight, bias = (np.array(w) for w in layer["weights"])
    (kernel,), (dilation,) = layer["kernel_size"], layer["dilation"]
    past = np.zeros(((kernel - 1) * dilation + 1, weight.shape[1]))

    def play(heard: Array) -> Array:
        past[:] = np.concatenate([past[1:], heard[None]])
        out = bias + sum(past[k * dilation] @ weight[k] for k in range(kernel))
        return np.maximum(out, 0.0)

    assert layer["activation"] == "relu"
    return play


def dense_cell(layer: dict[str, Any]) -> Callable[[Array], Array]:
    weight, bias = (np.array(w) for w in layer["weights"])
    return lambda heard: heard @ weight + bias


CELLS = {"lstm": lstm_cell, "gru": gru_cell, "conv1d": conv_cell, "dense": dense_cell}


def player_of(document: dict[str, Any]) -> Callable[[Array], Array]:
    """A reset player of (T,) to (T,), which goes on where it ended."""
    cells = [CELLS[layer["type"]](layer) for layer in document["layers"]]

    def play(dry: Array) -> Array:
        wet = []
        for sample in dry:
            heard = np.array([sample])
            for cell in cells:
                heard = cell(heard)
            wet.append(heard[0] + document.get("in_skip", 0) * sample)
        return np.array(wet)

    return play


@pytest.mark.parametrize("settings", [LSTM, {**LSTM, "layers": 2}, GRU, {**GRU, "layers": 2}, CONV], ids=str)
def test_a_player_that_follows_the_layout_gives_what_we_predict(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    document, dry = json.loads(written(settings, tmp_path).read_text()), dry_signal()
    assert document["in_shape"] == [None, None, 1]
    play = player_of(document)
    play(np.zeros(SETTLE_SAMPLES))
    wet = model_of(settings).predict(torch.from_numpy(dry).float()[None, None])[0, 0].numpy()
    np.testing.assert_allclose(play(dry), wet, rtol=0, atol=2e-6)


@pytest.mark.parametrize("settings", [LSTM, {**LSTM, "skip": True, "hidden": 40}, GRU], ids=str)
def test_aidax_plays_its_own_test_and_is_settled_after_it(settings: dict[str, Any], tmp_path: Path) -> None:
    document, dry = json.loads(written(settings, tmp_path, "aidax").read_text()), dry_signal()
    assert len(document["input_batch"]) == len(document["output_batch"]) == 2048
    assert (document["in_gain"], document["out_gain"]) == (0.0, 0.0)
    assert document["metadata"]["samplerate"] == document["samplerate"] == 44_100
    play = player_of(document)
    found = play(np.array(document["input_batch"]))
    np.testing.assert_allclose(found, document["output_batch"], rtol=0, atol=2e-6)
    wet = model_of(settings).predict(torch.from_numpy(dry).float()[None, None])[0, 0].numpy()
    np.testing.assert_allclose(play(dry), wet, rtol=0, atol=1e-4)


def test_aidax_gains_are_in_decibels(tmp_path: Path) -> None:
    path = written(LSTM, tmp_path, "aidax")
    document = json.loads(path.read_text())
    document |= {"in_gain": 6.0, "out_gain": -12.0}
    del document["output_batch"]
    path.write_text(json.dumps(document))
    dry = torch.randn(1, 1, 300, generator=torch.Generator().manual_seed(0))
    expected = 10 ** (-12 / 20) * model_of(LSTM).predict(10 ** (6 / 20) * dry)
    torch.testing.assert_close(load(path).model.predict(dry), expected, rtol=0, atol=2e-6)


def test_aidax_refuses_a_file_whose_layers_fail_its_own_test(tmp_path: Path) -> None:
    path = written(LSTM, tmp_path, "aidax")
    document = json.loads(path.read_text())
    weights = document["layers"][0]["weights"]
    weights[1] = weights[1][::-1]
    path.write_text(json.dumps(document))
    with pytest.raises(
        ExportError, match="field 'output_batch' is not what the layers make of 'input_batch'"
    ):
        load(path)


@pytest.mark.parametrize(
    ("settings", "where", "value", "message"),
    [
        (LSTM, ("layers",), [], "field 'layers' must be conv1d, gru or lstm, then dense; got \\[\\]"),
        (LSTM, ("layers", 0, "type"), "gru", "field 'layers.0.weights.0' must have shape"),
        (LSTM, ("layers", 0, "type"), "prelu", "field 'layers' must be conv1d, gru or lstm, then dense"),
        (LSTM, ("layers", 0, "shape"), None, "field 'layers.0.shape' must be a list of sizes"),
        (LSTM, ("layers", 0, "shape", 2), 9, "field 'layers.0.weights.0' must have shape \\(1, 36\\)"),
        (LSTM, ("layers", 0, "weights", 1, 3, 5), math.nan, "'layers.0.weights.1' holds NaN or infinite"),
        (LSTM, ("layers", 0, "weights", 1, 3), [1.0], "'layers.0.weights.1' must be numbers of shape"),
        (LSTM, ("layers", 1, "activation"), "tanh", "field 'layers.1.activation' 'tanh' is not read"),
        (GRU, ("layers", 0, "weights", 2), [1.0], "'layers.0.weights.2' must have shape \\(2, 24\\)"),
        (CONV, ("layers", 0, "activation"), "tanh", "field 'layers.0.activation' must be 'relu'"),
        (CONV, ("layers", 1, "dilation"), [5], "are no conv's"),
        (CONV, ("layers", 1, "dilation"), "x", "field 'layers.1.dilation' must be a whole number"),
        (LSTM, ("sample_rate",), 0, "field 'sample_rate' must be a whole number from 1 on; got 0"),
    ],
)
def test_a_file_that_does_not_add_up_is_refused_with_the_field(
    settings: dict[str, Any], where: tuple[str | int, ...], value: Any, message: str, tmp_path: Path
) -> None:
    path = written(settings, tmp_path)
    document: Any = json.loads(path.read_text())
    *parents, last = where
    held = document
    for parent in parents:
        held = held[parent]
    held[last] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))


def test_two_layers_that_changed_places_are_refused(tmp_path: Path) -> None:
    path = written({**LSTM, "layers": 2}, tmp_path)
    document = json.loads(path.read_text())
    document["layers"][:2] = document["layers"][1::-1]
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=r"field 'layers.0.weights.0' must have shape \(1, 32\)"):
        load(path)
