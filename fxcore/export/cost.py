"""What a model costs to play in the engines that it is exported to, in times real time on one core.

Two engines are here and can be measured: our own stream, and ONNX Runtime. NAM Core is not: what its fast
paths make of a model is predicted, from times measured once (BENCHMARKS.md). It is the same on every
machine, so that it can rank models and be written into a file.
"""

import tempfile
from pathlib import Path

from fxcore.errors import ExportError, did_you_mean
from fxcore.export import nam_convnet
from fxcore.export.base import Playable
from fxcore.export.nam import NamExporter
from fxcore.export.onnx import OnnxExporter
from fxcore.models import EffectModel
from fxcore.models.conv import ConvNet
from fxcore.models.fir import FirNet
from fxcore.models.lstm import LstmNet
from fxcore.models.nam_wavenet import NamWaveNetSpec
from fxcore.training.cost import measure_cost

ENGINES = ("stream", "onnx", "nam")

# nanoseconds a sample in NAM Core, compiled to WebAssembly
LSTM_PRODUCT, LSTM_CELL, LSTM_LAYER = 0.33, 15.8, 72.0
WAVENET_PRODUCT, WAVENET_ACTIVATION = 0.38, 10.4
CONVNET_PRODUCT, CONVNET_ACTIVATION = 0.37, 6.7
LINEAR_TAP = 0.81
FAST_PATHS = {"a2_lite": 528.0}  # sizes that the engine has code of their own for


def realtime_factor(playable: Playable, engine: str = "stream") -> float | None:
    """How many times faster than real time an engine plays 64-sample blocks; None where it cannot at all."""
    if engine not in ENGINES:
        raise ExportError(f"unknown engine '{engine}'{did_you_mean(engine, ENGINES)}")
    model, sample_rate, _ = playable
    if engine == "stream":
        return measure_cost(model, sample_rate).realtime_factor
    if engine == "nam":
        return nam_realtime_factor(model, sample_rate)
    exporter = OnnxExporter()
    if exporter.refusal(model):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{exporter.extension}"
        path.write_bytes(exporter.encode(playable))
        return measure_cost(exporter.decode(path).model, sample_rate).realtime_factor


def nam_realtime_factor(model: EffectModel, sample_rate: int) -> float | None:
    """As predicted for NAM Core; None where a .nam file cannot hold the model."""
    if NamExporter().refusal(model):
        return None
    return 1e9 / sample_rate / _nam_nanoseconds(model)


def _nam_nanoseconds(model: EffectModel) -> float:
    """A sample's time."""
    products = sum(weight.numel() for weight in model.parameters() if weight.dim() > 1)
    if isinstance(model, FirNet):
        return LINEAR_TAP * products
    if isinstance(model, LstmNet):
        layers, hidden = model.spec.layers, model.spec.hidden
        return LSTM_PRODUCT * products + layers * (LSTM_CELL * hidden + LSTM_LAYER)
    if isinstance(model, ConvNet):
        blocks = nam_convnet.blocks(model)
        products = sum(nam_convnet.KERNEL * b.in_channels * b.out_channels for b in blocks)
        return CONVNET_PRODUCT * products + CONVNET_ACTIVATION * sum(b.out_channels for b in blocks)
    if isinstance(model.spec, NamWaveNetSpec) and model.spec.size in FAST_PATHS:
        return FAST_PATHS[model.spec.size]
    widths = (module.out_channels for name, module in model.named_modules() if name.endswith("mixin"))
    return WAVENET_PRODUCT * products + WAVENET_ACTIVATION * float(sum(widths))
