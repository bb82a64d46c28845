"""The ConvNet architecture of `.nam` files: convolutions of kernel 2 with one activation, then a linear head.

Weights, for each block: the convolution [out][in][k], the older sample first, and its bias; then the head
and its bias. A `conv` whose kernels are 2 fits; what it does to each sample alone, its linear layers but the
last included, is written as blocks whose older samples weigh nothing.
"""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn, ones

from fxcore.errors import ExportError
from fxcore.export.nam_fields import WeightReader, count, counts, expect
from fxcore.export.native import build_with
from fxcore.models import EffectModel
from fxcore.models.conv import MOST_LAYERS, ConvNet

KERNEL = 2


def config(model: ConvNet) -> dict[str, Any]:
    """The settings that players read."""
    return {
        "channels": model.spec.channels,
        "dilations": [block.dilation[0] for block in blocks(model)],
        "batchnorm": False,
        "activation": "ReLU",
    }


def weights(model: ConvNet) -> Iterator[Tensor]:
    """Our input and output scales are folded in: players feed and expect full scale ±1."""
    dry_scale, wet_scale = model.scale
    for i, block in enumerate(blocks(model)):
        weight = block.weight / dry_scale if i == 0 else block.weight
        yield F.pad(weight, (KERNEL - block.kernel_size[0], 0))
        yield cast(Tensor, block.bias)
    head = cast(nn.Conv1d, model.linear[-1])
    yield head.weight * wet_scale
    yield cast(Tensor, head.bias) * wet_scale


def blocks(model: ConvNet) -> list[nn.Conv1d]:
    """What a ReLU follows."""
    return [*model._layers(), *(cast(nn.Conv1d, linear) for linear in model.linear[:-1])]


def read(config: dict[str, Any], weights: WeightReader, path: Path) -> EffectModel:
    """The model of a file's settings and weights; raises `ExportError`."""
    plain = {"batchnorm": False, "activation": "ReLU", "groups": 1, "in_channels": 1, "out_channels": 1}
    expect(config, plain, path)
    channels, dilations = count(config, "channels", path), counts(config, "dilations", path)
    read = []
    for i in range(len(dilations)):
        width = 1 if i == 0 else channels
        read.append((weights.take(channels, width, KERNEL), weights.take(channels)))
    convs = len(list(takewhile(lambda pair: pair[1] == 2 ** pair[0], enumerate(dilations))))
    alone = [not bool(weight[..., 0].any()) for weight, _ in read[convs:]]
    layers = min(len(dilations), MOST_LAYERS)
    if not convs or convs > layers or not all(alone) or set(dilations[convs:]) - {1}:
        raise ExportError(
            f"{path}: 'dilations' {list(dilations)} are not read here; those that double from 1 on are"
        )
    held = {"scale": ones(2)}
    for i, (weight, bias) in enumerate(read):
        name = f"convs.{i}" if i < layers else f"linear.{i - layers}"
        held[f"{name}.weight"], held[f"{name}.bias"] = (weight if i < convs else weight[..., 1:]), bias
    last = len(dilations) - layers
    held[f"linear.{last}.weight"], held[f"linear.{last}.bias"] = (
        weights.take(1, channels, 1),
        weights.take(1),
    )
    settings = {"layers": layers, "window": KERNEL**convs, "channels": channels, "linear": 1 + last}
    return build_with({"kind": "conv", **settings}, held, path)
