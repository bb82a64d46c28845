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
from fxcore.models.nam_wavenet import SIZES

Array = npt.NDArray[np.float64]
LSTM = {"kind": "lstm", "layers": 2, "hidden": 4}
WAVENET = {"kind": "wavenet", "layers": 5, "window": 20, "channels": 3, "kernel": 3, "gated": True}
CONV = {"kind": "conv", "layers": 5, "window": 20, "channels": 3}
NANO = {"kind": "nam_wavenet", "size": "a1_nano"}
FIR = {"kind": "fir", "taps": 70}
A2 = {"kind": "nam_wavenet", "size": "a2_lite"}


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


def play_linear(document: dict[str, Any], dry: Array) -> Array:
    """After silence; (T,) to (T,)."""
    reader, taps = Reader(document), document["config"]["receptive_field"]
    response, offset = reader.take(taps), reader.take(1) if document["config"]["bias"] else 0.0
    assert reader.weights.size == 0
    wet: Array = np.convolve(dry, response)[: dry.size] + offset
    return wet


def play_convnet(document: dict[str, Any], dry: Array) -> Array:
    """After a silence as long as the receptive field; (T,) to (T,)."""
    reader, config, silence = Reader(document), document["config"], np.zeros(2_000)
    assert not config["batchnorm"]
    hidden = np.concatenate([silence, dry])[None]
    for dilation in config["dilations"]:
        kernel = reader.take(config["channels"], hidden.shape[0], 2)
        hidden = activate(
            dilated(kernel, hidden, dilation) + reader.take(config["channels"], 1), config["activation"]
        )
    wet: Array = (reader.take(1, config["channels"]) @ hidden + reader.take(1, 1))[0, silence.size :]
    assert reader.weights.size == 0
    return wet


def play_wavenet(document: dict[str, Any], dry: Array) -> Array:
    """After a silence as long as the receptive field; (T,) to (T,)."""
    reader, silence = Reader(document), np.zeros(10_000)  # longer than any receptive field
    heard = np.concatenate([silence, dry])
    hidden, summed = heard[None], np.zeros((1, heard.size))
    for array in document["config"]["layers"]:
        hidden, summed = play_array(array, reader, hidden, heard, summed)
    head_scale = reader.take(1)
    assert reader.weights.size == 0
    assert head_scale[0] == pytest.approx(document["config"]["head_scale"])
    wet: Array = head_scale[0] * summed[0, silence.size :]
    return wet


def play_array(
    array: dict[str, Any], reader: Reader, hidden: Array, heard: Array, summed: Array
) -> tuple[Array, Array]:
    """Hidden signal and the head's sum after one array, (C, T) each."""
    channels, dilations = array["channels"], array["dilations"]
    kernels = array.get("kernel_sizes") or [array["kernel_size"]] * len(dilations)
    activations = array["activation"]
    activations = activations if isinstance(activations, list) else [activations] * len(dilations)
    head = array.get("head") or {
        "out_channels": array["head_size"],
        "kernel_size": 1,
        "bias": array["head_bias"],
    }
    width = channels * (2 if array["gated"] else 1)
    hidden = reader.take(channels, hidden.shape[0]) @ hidden
    for taps, dilation, activation in zip(kernels, dilations, activations, strict=True):
        mixed = dilated(reader.take(width, channels, taps), hidden, dilation) + reader.take(width, 1)
        mixed = mixed + reader.take(width, 1) * heard
        active = activate(mixed[:channels], activation)
        active = active * (sigmoid(mixed[channels:]) if array["gated"] else 1.0)
        hidden = hidden + reader.take(channels, channels) @ active + reader.take(channels, 1)
        summed = summed + active
    summed = dilated(reader.take(head["out_channels"], channels, head["kernel_size"]), summed, 1)
    return hidden, summed + (reader.take(head["out_channels"], 1) if head["bias"] else 0.0)


def dilated(kernel: Array, signal: Array, dilation: int) -> Array:
    """Causal convolution (O, I, k) of (I, T) that starts from silence; the last tap hears the present."""
    taps = kernel.shape[-1]
    padded = np.pad(signal, ((0, 0), ((taps - 1) * dilation, 0)))
    return sum(
        (kernel[:, :, k] @ padded[:, k * dilation :][:, : signal.shape[1]] for k in range(taps)),
        np.zeros((kernel.shape[0], signal.shape[1])),
    )


def activate(signal: Array, activation: str | dict[str, Any]) -> Array:
    """A name, or a type with its settings."""
    if isinstance(activation, str):
        activation = {"type": activation, "negative_slope": 0.01}
    slope = activation["negative_slope"] if activation["type"] == "LeakyReLU" else 0.0
    return np.tanh(signal) if activation["type"] == "Tanh" else np.maximum(signal, slope * signal)


@pytest.mark.parametrize(
    ("settings", "play"),
    [
        ({**LSTM, "layers": 1}, play_lstm),
        (LSTM, play_lstm),
        (FIR, play_linear),
        (CONV, play_convnet),
        ({**CONV, "layers": 10, "window": 1000, "linear": 3}, play_convnet),
        (WAVENET, play_wavenet),
        ({**WAVENET, "gated": False, "kernel": 2}, play_wavenet),
        ({**WAVENET, "activation": "relu"}, play_wavenet),
        ({**WAVENET, "gated": False, "activation": "leaky_relu"}, play_wavenet),
        *(({"kind": "nam_wavenet", "size": size}, play_wavenet) for size in SIZES),
    ],
    ids=[
        "lstm-1",
        "lstm-2",
        "linear",
        "convnet",
        "convnet-linear",
        "wavenet-gated",
        "wavenet",
        "wavenet-gated-relu",
        "wavenet-leaky-relu",
        *SIZES,
    ],
)
def test_a_player_that_follows_the_format_gives_what_we_predict(
    settings: dict[str, Any], play: Callable[[dict[str, Any], Array], Array], tmp_path: Path
) -> None:
    dry = 0.2 * torch.randn(600, generator=torch.Generator().manual_seed(1))
    dry[:50] = 0.0
    wet = model_of(settings).predict(dry[None, None])[0, 0].numpy()
    document = document_of(exported(settings, tmp_path))
    np.testing.assert_allclose(play(document, dry.double().numpy()), wet, rtol=0, atol=2e-6 * abs(wet).max())


@pytest.mark.parametrize(
    ("settings", "architecture", "version"),
    [
        (LSTM, "LSTM", "0.5.4"),
        (FIR, "Linear", "0.5.4"),
        (CONV, "ConvNet", "0.5.4"),
        (WAVENET, "WaveNet", "0.5.4"),
        (NANO, "WaveNet", "0.5.4"),
        (A2, "WaveNet", "0.7.0"),
    ],
    ids=["lstm", "linear", "convnet", "wavenet", "a1", "a2"],
)
def test_the_file_says_what_players_read(
    settings: dict[str, Any], architecture: str, version: str, tmp_path: Path
) -> None:
    document = document_of(exported(settings, tmp_path))
    assert (document["version"], document["sample_rate"]) == (version, 44_100)
    assert document["architecture"] == architecture
    assert document["metadata"]["name"] == "amp"


@pytest.mark.parametrize(
    ("size", "weights"),
    [
        ("a1_standard", 13_802),
        ("a1_lite", 6_554),
        ("a1_feather", 3_026),
        ("a1_nano", 842),
        ("a2_full", 12_146),
        ("a2_lite", 1_871),
    ],
)
def test_as_many_weights_as_neural_amp_modeler_writes(size: str, weights: int, tmp_path: Path) -> None:
    document = document_of(exported({"kind": "nam_wavenet", "size": size}, tmp_path))
    assert len(document["weights"]) == weights


def test_a1_is_written_in_the_form_that_every_player_knows(tmp_path: Path) -> None:
    """The fields of Neural Amp Modeler's own files before 2026."""
    arrays = document_of(exported({"kind": "nam_wavenet", "size": "a1_standard"}, tmp_path))["config"][
        "layers"
    ]
    common = {"condition_size": 1, "kernel_size": 3, "activation": "Tanh", "gated": False}
    common["dilations"] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert arrays == [
        {**common, "input_size": 1, "channels": 16, "head_size": 8, "head_bias": False},
        {**common, "input_size": 16, "channels": 8, "head_size": 1, "head_bias": True},
    ]


def test_a_file_that_spells_each_layer_out_is_read(tmp_path: Path) -> None:
    """As Neural Amp Modeler writes every WaveNet since 2026, with all that a layer could have."""
    path = exported({**WAVENET, "gated": False}, tmp_path)
    document = document_of(path)
    array = document["config"]["layers"][0]
    idle = {"active": False, "shift": True, "groups": 1}
    array |= {
        "kernel_sizes": [array.pop("kernel_size")] * 5,
        "activation": [{"type": "Tanh"}] * 5,
        "gating_mode": ["none"] * 5,
        "secondary_activation": [None] * 5,
        "bottleneck": 3,
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "head": {"out_channels": array.pop("head_size"), "kernel_size": 1, "bias": array.pop("head_bias")},
        "conv_pre_film": idle,
        "layer1x1_post_film": idle,
        "slimmable": None,
    }
    del array["gated"]
    path.write_text(json.dumps(document))
    dry = torch.randn(1, 1, 200, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        load(path).model.predict(dry), model_of({**WAVENET, "gated": False}).predict(dry)
    )


def test_the_order_of_the_files_keys_does_not_matter(tmp_path: Path) -> None:
    path = exported(WAVENET, tmp_path)
    document = document_of(path)
    array = document["config"]["layers"][0]
    document["config"]["layers"][0] = dict(reversed(array.items()))
    path.write_text(json.dumps(dict(reversed(document.items()))))
    dry = torch.randn(1, 1, 200, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(load(path).model.predict(dry), model_of(WAVENET).predict(dry))


@pytest.mark.parametrize("linear", [1, 8])
def test_a_convnet_that_was_read_is_written_as_it_was(linear: int, tmp_path: Path) -> None:
    """What acts on single samples is read as such again: as layers, and beyond 16 of those as linear ones."""
    path = exported({**CONV, "layers": 12, "window": 64, "linear": linear}, tmp_path)
    read = load(path)
    assert read.model.spec.receptive_field == 64
    again = document_of(export(read, "nam", tmp_path / "again.nam"))
    assert again["config"] == document_of(path)["config"]
    np.testing.assert_array_equal(again["weights"], document_of(path)["weights"])


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
        (
            LSTM,
            ("architecture",),
            "CatLSTM",
            "architecture 'CatLSTM' is not read here; known: ConvNet, LSTM, Linear, WaveNet",
        ),
        (LSTM, ("architecture",), "WaveNet", "'layers' must hold layer arrays"),
        (LSTM, ("architecture",), "missing", "field 'architecture' is missing"),
        (LSTM, ("sample_rate",), "fast", "'sample_rate' must be a whole number from 1 on; got 'fast'"),
        (WAVENET, ("config", "layers"), [], "'layers' must hold layer arrays"),
        (WAVENET, ("config", "layers"), 3, "'layers' must hold layer arrays"),
        (WAVENET, ("config", "head"), {"channels": 3}, "'head' must be None to be read here"),
        (
            WAVENET,
            (*ARRAY, "activation"),
            "SiLU",
            "'activation' must be Tanh, ReLU, LeakyReLU to be read here; got 'SiLU'",
        ),
        (WAVENET, (*ARRAY, "activation"), ["Tanh", "ReLU"], "'activation' must be Tanh, ReLU, LeakyReLU"),
        (WAVENET, (*ARRAY, "activation"), [], "'activation' must be Tanh, ReLU, LeakyReLU"),
        (WAVENET, (*ARRAY, "gating_mode"), "blended", "'gating_mode' must be 'none' to be read here"),
        (WAVENET, (*ARRAY, "bottleneck"), 2, "'bottleneck' must be 3 to be read here; got 2"),
        (WAVENET, (*ARRAY, "layer1x1"), {"active": False}, "'active' must be True to be read here"),
        (WAVENET, (*ARRAY, "head1x1"), {"active": True}, "'active' must be False to be read here"),
        (WAVENET, (*ARRAY, "conv_pre_film"), {"active": True}, "'active' must be False to be read here"),
        (
            WAVENET,
            (*ARRAY, "kernel_sizes"),
            [3, 3],
            "'kernel_sizes' must be as many as 'dilations'; got 2 and 5",
        ),
        (WAVENET, (*ARRAY, "head_size"), 2, "'head_size' must be 1 to be read here; got 2"),
        (FIR, ("config", "receptive_field"), 71, "'weights' ends after 71 values, more are needed"),
        (FIR, ("config", "receptive_field"), "missing", "'receptive_field' must be a whole number from 1 on"),
        (FIR, ("config", "bias"), False, "'weights' has 71 values, 70 are needed"),
        (FIR, ("config", "in_channels"), 2, "'in_channels' must be 1 to be read here; got 2"),
        (CONV, ("config", "batchnorm"), True, "'batchnorm' must be False to be read here; got True"),
        (CONV, ("config", "activation"), "Tanh", "'activation' must be 'ReLU' to be read here; got 'Tanh'"),
        (CONV, ("config", "groups"), 3, "'groups' must be 1 to be read here; got 3"),
        (CONV, ("config", "channels"), 4, "'weights' ends after"),
        (CONV, ("config", "channels"), "missing", "'channels' must be a whole number from 1 on"),
        (CONV, ("config", "dilations"), [1, 2, 4, 8], "'weights' has 97 values, 76 are needed"),
        (
            CONV,
            ("config", "dilations"),
            [1, 2, 4, 16, 8],
            r"'dilations' \[1, 2, 4, 16, 8\] are not read here",
        ),
        (
            CONV,
            ("config", "dilations"),
            [2, 4, 8, 16, 32],
            r"'dilations' .* are not read here; those that double",
        ),
        (
            CONV,
            ("config", "dilations"),
            [1, 2, 4, 8, 1],
            r"'dilations' .* are not read here; those that double",
        ),
        (CONV, ("weights", 7), math.nan, "hold NaN or infinite values"),
        (NANO, (*ARRAY, "gated"), True, "'layers' must be alike in activation and gating"),
        (NANO, (*ARRAY, "head_bias"), True, "'head_bias' must be False to be read here; got True"),
        (NANO, ("config", "layers", 1, "input_size"), 1, "'input_size' must be 4 to be read here; got 1"),
        (NANO, (*ARRAY, "kernel_size"), 2, r"dilations \[1, 2, .* are not read here; one array of doubling"),
        (A2, (*ARRAY, "head", "kernel_size"), 15, r"dilations \[1, 3, .* and a1_standard, .*, a2_lite are"),
        (A2, (*ARRAY, "activation", 3, "negative_slope"), 0.2, "'activation' must be Tanh, ReLU, LeakyReLU"),
        (WAVENET, (*ARRAY, "channels"), 4, "'weights' ends after"),
        (WAVENET, (*ARRAY, "gated"), False, "'weights' has"),
        (WAVENET, (*ARRAY, "kernel_size"), "missing", "'kernel_size' must be a whole number from 1 on"),
        (
            WAVENET,
            (*ARRAY, "dilations"),
            [1, 2, 4, 8, 3],
            "dilations .* are not read here; one array of doubling cycles is",
        ),
        (
            WAVENET,
            (*ARRAY, "dilations"),
            [2, 1, 2, 1, 2],
            "dilations .* are not read here; one array of doubling cycles is",
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**LSTM, "skip": True}, r"a \.nam file holds lstm models with skip False; this one has True"),
        ({**LSTM, "tail_taps": 16}, r"holds lstm models with tail_taps 0; this one has 16"),
        (
            {**CONV, "layers": 3, "window": 64},
            r"holds conv models with kernel 2; this one has 4, and would fit with layers 6; other families",
        ),
        ({**CONV, "pool": 2}, r"holds conv models with pool 1; this one has 2; other families"),
        (
            {"kind": "gru", "hidden": 4},
            r"holds conv, lstm, wavenet, nam_wavenet, fir models; this one is a gru",
        ),
        ({**LSTM, "output": "mixture"}, r"holds lstm models with output regression; this one has mixture"),
    ],
    ids=["skip", "tail", "kernel", "pool", "gru", "mixture"],
)
def test_what_players_lack_is_refused_with_what_they_have(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=message):
        exported(settings, tmp_path)
