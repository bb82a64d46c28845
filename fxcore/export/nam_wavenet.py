"""The WaveNet architecture of `.nam` files, in the older and the newer form of its settings.

Weights, for each array: rechannel; for each layer the convolution [out][in][k] and its bias, the
mix-in of the dry, the pointwise residual and its bias; then the array's head and, in the last, its
bias. `head_scale` ends the list. The newer form, of Core 0.4.1 on, gives each layer a kernel size
and an activation of its own and the head a kernel; it is written only where the older cannot say it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fxcore.errors import ExportError
from fxcore.export.nam_fields import WeightReader, count, counts, expect
from fxcore.export.native import build_with
from fxcore.models import EffectModel
from fxcore.models.layer_product import LEAK, Activation
from fxcore.models.nam_wavenet import SIZES
from fxcore.models.wavenet import LayerArray, Shape, WaveNet, WaveNetSpec

ACTIVATIONS: dict[Activation, str] = {"tanh": "Tanh", "relu": "ReLU", "leaky_relu": "LeakyReLU"}
OLDER, NEWER = "0.5.4", "0.7.0"  # versions of the file


def version(model: WaveNet) -> str:
    """Of the oldest form that can hold the model."""
    return OLDER if _is_older(model.spec.shape) else NEWER


def config(model: WaveNet) -> dict[str, Any]:
    """The settings that players read."""
    shape = model.spec.shape
    widths = [1, *(array.channels for array in shape.arrays), 1]
    layers = []
    for i, array in enumerate(shape.arrays):
        head, last = widths[i + 2], i == len(shape.arrays) - 1
        common = {
            "input_size": widths[i],
            "condition_size": 1,
            "channels": array.channels,
            "dilations": list(array.dilations),
            "gated": shape.gated,
        }
        form = _older(array, shape, head, last) if _is_older(shape) else _newer(array, shape, head, last)
        layers.append(common | form)
    return {"layers": layers, "head": None, "head_scale": float(model.scale[1])}


def weights(model: WaveNet) -> Iterator[Tensor]:
    """Our input and output scales are folded in: players feed and expect full scale ±1."""
    dry_scale, wet_scale = model.scale
    held = model.state_dict()
    for i, array in enumerate(model.spec.shape.arrays):
        yield held[f"arrays.{i}.rechannel.weight"] / (dry_scale if i == 0 else 1.0)
        for j in range(len(array.dilations)):
            layer = f"arrays.{i}.layers.{j}"
            yield held[f"{layer}.conv.weight"]
            yield held[f"{layer}.conv.bias"]
            yield held[f"{layer}.mixin.weight"] / dry_scale
            yield held[f"{layer}.residual.weight"]
            yield held[f"{layer}.residual.bias"]
        yield held[f"arrays.{i}.head.weight"]
    yield held[f"arrays.{len(model.arrays) - 1}.head.bias"]
    yield wet_scale


def read(config: dict[str, Any], weights: WeightReader, path: Path) -> EffectModel:
    """The model of a file's settings and weights; raises `ExportError`."""
    expect(config, {"head": None, "condition_dsp": None}, path)
    layers = config.get("layers")
    if not isinstance(layers, list) or not layers or not all(isinstance(array, dict) for array in layers):
        raise ExportError(f"{path}: 'layers' must hold layer arrays; got {layers!r}")
    shapes = [_read_shape(array, path) for array in layers]
    shape = Shape(
        tuple(array for one in shapes for array in one.arrays),
        shapes[-1].activation,
        shapes[-1].gated,
        shapes[-1].head_kernel,
    )
    if any(one[1:] != (shape.activation, shape.gated, 1) for one in shapes[:-1]):
        raise ExportError(f"{path}: 'layers' must be alike in activation and gating to be read here")
    return build_with(_spec(shape, path), dict(_read_weights(shape, layers, weights, path)), path)


def _is_older(shape: Shape) -> bool:
    return shape.head_kernel == 1 and all(len(set(array.kernels)) == 1 for array in shape.arrays)


def _older(array: LayerArray, shape: Shape, head: int, last: bool) -> dict[str, Any]:
    return {
        "kernel_size": array.kernels[0],
        "activation": ACTIVATIONS[shape.activation],
        "head_size": head,
        "head_bias": last,
    }


def _newer(array: LayerArray, shape: Shape, head: int, last: bool) -> dict[str, Any]:
    """As the players' fast path for A2 asks for it, to the letter."""
    activation: dict[str, Any] = {"type": ACTIVATIONS[shape.activation]}
    if shape.activation == "leaky_relu":
        activation["negative_slope"] = LEAK
    return {
        "kernel_sizes": list(array.kernels),
        "activation": [activation] * len(array.kernels),
        "bottleneck": array.channels,
        "layer1x1": {"active": True, "groups": 1},
        "head": {"out_channels": head, "kernel_size": shape.head_kernel if last else 1, "bias": last},
    }


def _read_shape(array: dict[str, Any], path: Path) -> Shape:
    """Of one array, in either form."""
    dilations = counts(array, "dilations", path)
    if "kernel_sizes" in array:
        kernels = counts(array, "kernel_sizes", path)
    else:
        kernels = (count(array, "kernel_size", path),) * len(dilations)
    if len(kernels) != len(dilations):
        raise ExportError(
            f"{path}: 'kernel_sizes' must be as many as 'dilations'; got {len(kernels)} and {len(dilations)}"
        )
    channels = count(array, "channels", path)
    same = {"condition_size": 1, "bottleneck": channels, "groups_input": 1, "groups_input_mixin": 1}
    expect(array, same, path)
    expect(array.get("layer1x1") or {}, {"active": True, "groups": 1}, path)
    for extra in [key for key in array if key == "head1x1" or key.endswith("_film")]:
        expect(array[extra] or {}, {"active": False}, path)
    gating = array.get("gating_mode", "none")  # the older form's `gated` is read
    for mode in gating if isinstance(gating, list) else [gating]:
        expect({"gating_mode": mode}, {"gating_mode": "none"}, path)
    head_kernel = count(array["head"], "kernel_size", path) if isinstance(array.get("head"), dict) else 1
    layers = LayerArray(channels, kernels, dilations)
    return Shape((layers,), _read_activation(array, path), bool(array.get("gated")), head_kernel)


def _read_activation(array: dict[str, Any], path: Path) -> Activation:
    """The one activation of all layers: a name, a name with its slope, or a list of those."""
    given = array.get("activation")
    each = given if isinstance(given, list) and given else [given]
    for ours, name in ACTIVATIONS.items():
        spelt = [name, {"type": name}, {"type": name, "negative_slope": LEAK}]
        if all(one in spelt for one in each):
            return ours
    raise ExportError(
        f"{path}: 'activation' must be {', '.join(ACTIVATIONS.values())} to be read here; got {each[0]!r}"
    )


def _spec(shape: Shape, path: Path) -> dict[str, Any]:
    """Settings of the family that has this shape."""
    for size, known in SIZES.items():
        if shape == known:
            return {"kind": "nam_wavenet", "size": size}
    (array, *others) = shape.arrays
    settings = {
        "kind": "wavenet",
        "layers": len(array.dilations),
        "window": 1 + sum((k - 1) * d for k, d in zip(array.kernels, array.dilations, strict=True)),
        "channels": array.channels,
        "kernel": array.kernels[0],
        "activation": shape.activation,
        "gated": shape.gated,
    }
    if others or not _is_older(shape) or WaveNetSpec.from_dict(settings).shape != shape:
        raise ExportError(
            f"{path}: layers of dilations {list(array.dilations)} are not read here; one array of "
            f"doubling cycles is, and {', '.join(SIZES)} are"
        )
    return settings


def _read_weights(
    shape: Shape, layers: list[dict[str, Any]], weights: WeightReader, path: Path
) -> Iterator[tuple[str, Tensor]]:
    """Names of our tensors and their values, in the file's order."""
    widths = [1, *(array.channels for array in shape.arrays), 1]
    for i, array in enumerate(shape.arrays):
        last = i == len(shape.arrays) - 1
        channels, outputs, head = array.channels, widths[i + 2], _read_head(layers[i])
        expect({**layers[i], **head}, {"input_size": widths[i], "head_size": outputs}, path)
        if not last:
            expect(head, {"head_bias": False}, path)
        width = channels * (2 if shape.gated else 1)
        yield f"arrays.{i}.rechannel.weight", weights.take(channels, widths[i], 1)
        for j, kernel in enumerate(array.kernels):
            layer = f"arrays.{i}.layers.{j}"
            yield f"{layer}.conv.weight", weights.take(width, channels, kernel)
            yield f"{layer}.conv.bias", weights.take(width)
            yield f"{layer}.mixin.weight", weights.take(width, 1, 1)
            yield f"{layer}.residual.weight", weights.take(channels, channels, 1)
            yield f"{layer}.residual.bias", weights.take(channels)
        head_kernel = shape.head_kernel if last else 1
        yield f"arrays.{i}.head.weight", weights.take(outputs, channels, head_kernel)
        if last:
            bias = weights.take(1) if head.get("head_bias") else torch.zeros(1)
            yield f"arrays.{i}.head.bias", bias
    yield "scale", torch.stack([torch.ones(()), weights.take(1)[0]])


def _read_head(array: dict[str, Any]) -> dict[str, Any]:
    """The head in the older form's fields."""
    head = array.get("head")
    if not isinstance(head, dict):
        return {key: array[key] for key in ("head_size", "head_bias") if key in array}
    return {"head_size": head.get("out_channels"), "head_bias": head.get("bias")}
