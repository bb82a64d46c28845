"""`rtneural`: the JSON layers of RTNeural (Chowdhury, 2021), which many plug-ins compile in.

Layers in a row, their weights as Keras lays them out: a matrix has a row for each input; an LSTM's gates
stand in the order i, f, c, o with one bias, a GRU's in the order z, r, h with a bias for the input and one
for the recurrence; a convolution is [kernel][in][out], the oldest sample first. The model starts from
zeros; our input and output scales are folded in.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from fxcore.errors import ExportError
from fxcore.export import jsonfile
from fxcore.export.base import Exporter, Limits, Playable
from fxcore.export.native import build_with
from fxcore.models import EffectModel
from fxcore.models.conv import ConvNet, ConvSpec
from fxcore.models.convolution import receptive_field
from fxcore.models.gru import GruNet
from fxcore.models.lstm import LstmNet
from fxcore.models.recurrent import RecurrentNet

DEFAULT_RATE = 48_000  # of files that name none
LONGEST_WINDOW = 65_536  # of our `conv`
REGRESSION = ("regression",)

Layer = dict[str, Any]


class RtneuralExporter(Exporter):
    """Recurrent nets of any size, and convolutions with ReLU."""

    kind: ClassVar[str] = "rtneural"
    extension: ClassVar[str] = ".rtneural.json"
    players: ClassVar[str] = "RTNeural's json_parser, compiled into a plug-in of your own"
    holds: ClassVar[Mapping[str, Limits]] = {
        "conv": {"pool": (1,), "output": REGRESSION},
        "gru": {"skip": (False,), "tail_taps": (0,), "output": REGRESSION},
        "lstm": {"skip": (False,), "tail_taps": (0,), "output": REGRESSION},
    }

    def encode(self, playable: Playable) -> bytes:
        layers = layers_of(playable.model)
        document = {
            "in_shape": [None, None, 1],
            "layers": layers,
            "digest": jsonfile.digest(_arrays(layers)),
            "sample_rate": playable.sample_rate,
            "metadata": playable.facts,
        }
        return jsonfile.encode(document)

    def decode(self, path: Path) -> Playable:
        document = jsonfile.read(path, "RTNeural model")
        rate = jsonfile.count({"sample_rate": DEFAULT_RATE, **document}, "sample_rate", path)
        facts = document.get("metadata")
        return Playable(model_of(document, False, path), rate, facts if isinstance(facts, dict) else {})


def layers_of(model: EffectModel) -> list[Layer]:
    """The layers of a recurrent or convolutional model; a skip is left to the player."""
    dry_scale, wet_scale = model.scale
    layers: list[Layer] = []
    if isinstance(model, ConvNet):
        for i, conv in enumerate(model._layers()):
            weight = conv.weight / dry_scale if i == 0 else conv.weight
            layer = _layer("conv1d", conv.out_channels, [weight.permute(2, 1, 0), conv.bias])
            shape = {"kernel_size": list(conv.kernel_size), "dilation": list(conv.dilation), "groups": 1}
            layers.append({**layer, **shape, "activation": "relu"})
    elif isinstance(model, RecurrentNet):
        for i in range(model.spec.layers):
            weights = _cells(model, i)
            weights[0] = weights[0] / dry_scale if i == 0 else weights[0]
            layers.append(_layer(model.spec.kind, model.spec.hidden, weights))
    dense = model.linear if isinstance(model, ConvNet) else [model.get_submodule("head")]
    for i, linear in enumerate(dense):
        weight, bias = linear.get_parameter("weight").flatten(1), linear.get_parameter("bias")
        last = i == len(dense) - 1
        layer = _layer(
            "dense", len(bias), [weight.T * wet_scale, bias * wet_scale] if last else [weight.T, bias]
        )
        layers.append(layer if last else {**layer, "activation": "relu"})
    return layers


def model_of(document: Mapping[str, Any], skip: bool, path: Path) -> EffectModel:
    """The model of a document's layers; raises `ExportError` with the field."""
    layers = jsonfile.field(document, "layers", path, list)
    kinds = [str(layer.get("type")) if isinstance(layer, dict) else "" for layer in layers]
    dense = sum("dense" in kind for kind in kinds)
    body, kind = kinds[: len(kinds) - dense], kinds[0] if kinds else ""
    if kind not in READERS or set(body) != {kind} or not (dense == 1 or (dense and kind == "conv1d")):
        raise ExportError(f"{path}: field 'layers' must be conv1d, gru or lstm, then dense; got {kinds}")
    held: dict[str, Tensor] = {"scale": torch.ones(2)}
    width = 1
    for i, layer in enumerate(layers[: len(body)]):
        size = _size(layer, f"layers.{i}", path)
        if i and size != width:
            raise ExportError(f"{path}: field 'layers.{i}.shape' must end in {width} as the layer before")
        held |= READERS[kind](layer, i, width, size, path)
        width = size
    for i, layer in enumerate(layers[len(body) :]):
        name, out = f"layers.{i + len(body)}", width if i < dense - 1 else 1
        if layer.get("activation", "") != ("relu" if i < dense - 1 else ""):
            raise ExportError(f"{path}: field '{name}.activation' {layer['activation']!r} is not read here")
        weight, bias = _weights(layer, name, [(width, out), (out,)], path)
        place = f"linear.{i}" if kind == "conv1d" else "head"
        held |= {
            f"{place}.weight": weight.T[..., None] if kind == "conv1d" else weight.T,
            f"{place}.bias": bias,
        }
    jsonfile.check_digest(document.get("digest"), _arrays(layers), "layers", path)
    if kind == "conv1d":
        return _conv_model(layers[: len(body)], width, dense, held, path)
    return build_with({"kind": kind, "layers": len(body), "hidden": width, "skip": skip}, held, path)


def _cells(model: RecurrentNet, i: int) -> list[Tensor]:
    """Weights of a recurrent layer as Keras has them."""
    cells = model.get_submodule(model.spec.kind)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    from_input, from_hidden, bias, hidden_bias = (cells.get_parameter(f"{name}_l{i}") for name in names)
    if isinstance(model, LstmNet):
        return [from_input.T, from_hidden.T, bias + hidden_bias]
    assert isinstance(model, GruNet)
    both = torch.stack([_swapped(bias), _swapped(hidden_bias)])
    return [_swapped(from_input).T, _swapped(from_hidden).T, both]


def _read_cells(layer: Layer, i: int, width: int, size: int, path: Path) -> dict[str, Tensor]:
    kind, name = layer["type"], f"layers.{i}"
    gates = 4 if kind == "lstm" else 3
    bias_shape = (4 * size,) if kind == "lstm" else (2, 3 * size)
    shapes = [(width, gates * size), (size, gates * size), bias_shape]
    from_input, from_hidden, bias = _weights(layer, name, shapes, path)
    found = [from_input.T, from_hidden.T, bias, torch.zeros_like(bias)]
    if kind == "gru":
        found = [_swapped(t) for t in (from_input.T, from_hidden.T, bias[0], bias[1])]
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {f"{kind}.{n}_l{i}": tensor for n, tensor in zip(names, found, strict=True)}


def _read_conv(layer: Layer, i: int, width: int, size: int, path: Path) -> dict[str, Tensor]:
    name = f"layers.{i}"
    if layer.get("activation") != "relu" or layer.get("groups", 1) != 1:
        raise ExportError(f"{path}: field '{name}.activation' must be 'relu', its groups 1, to be read here")
    shapes = [(_first(layer, "kernel_size", name, path), width, size), (size,)]
    weight, bias = _weights(layer, name, shapes, path)
    return {f"convs.{i}.weight": weight.permute(2, 1, 0), f"convs.{i}.bias": bias}


def _conv_model(
    layers: list[Layer], channels: int, dense: int, held: dict[str, Tensor], path: Path
) -> EffectModel:
    """Our `conv` of the same kernels and dilations; others have no family here."""
    kernels, dilations = (
        [_first(layer, field, f"layers.{i}", path) for i, layer in enumerate(layers)]
        for field in ("kernel_size", "dilation")
    )
    window = min(receptive_field(kernels, dilations), LONGEST_WINDOW)
    sizes = {"kind": "conv", "layers": len(layers), "window": window, "channels": channels, "linear": dense}
    if window < 2 or ConvSpec.from_dict(sizes).shape != (kernels, dilations):
        raise ExportError(f"{path}: fields 'kernel_size' {kernels} and 'dilation' {dilations} are no conv's")
    return build_with(sizes, held, path)


def _swapped(tensor: Tensor) -> Tensor:
    """Gates r, z, n of torch as z, r, h of Keras, and back."""
    first, second, new = tensor.chunk(3)
    return torch.cat([second, first, new])


def _layer(kind: str, size: int, weights: Sequence[Tensor | None]) -> Layer:
    values = [jsonfile.numbers(w) for w in weights if w is not None]
    return {"type": kind, "activation": "", "shape": [None, None, size], "weights": values}


def _arrays(layers: Sequence[Layer]) -> list[Any]:
    """All weights, in their order."""
    return [array for layer in layers for array in layer["weights"]]


def _size(layer: Layer, name: str, path: Path) -> int:
    shape = layer.get("shape")
    if not isinstance(shape, list) or not shape:
        raise ExportError(f"{path}: field '{name}.shape' must be a list of sizes; got {shape!r}")
    return jsonfile.count({f"{name}.shape": shape[-1]}, f"{name}.shape", path)


def _first(layer: Layer, field: str, name: str, path: Path) -> int:
    value = layer.get(field)
    value = value[0] if isinstance(value, list) and value else value
    return jsonfile.count({f"{name}.{field}": value}, f"{name}.{field}", path)


def _weights(layer: Layer, name: str, shapes: Sequence[tuple[int, ...]], path: Path) -> list[Tensor]:
    values = layer.get("weights")
    if not isinstance(values, list) or len(values) != len(shapes):
        raise ExportError(f"{path}: field '{name}.weights' must hold {len(shapes)} arrays")
    return [
        jsonfile.tensor(array, shape, f"{name}.weights.{k}", path)
        for k, (array, shape) in enumerate(zip(values, shapes, strict=True))
    ]


READERS: dict[str, Callable[[Layer, int, int, int, Path], dict[str, Tensor]]] = {
    "conv1d": _read_conv,
    "gru": _read_cells,
    "lstm": _read_cells,
}
