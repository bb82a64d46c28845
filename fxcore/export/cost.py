"""What a model costs to play in the engines that it is exported to, in times real time on one core.

Our own stream and ONNX Runtime are measured, and so is NAM Core where Node.js and its package are there.
Where they are not, what its fast paths make of a model is predicted, from times measured once
(BENCHMARKS.md); that is the same on every machine.
"""

import subprocess
import tempfile
from pathlib import Path

from fxcore.errors import ExportError, did_you_mean
from fxcore.export import nam_convnet
from fxcore.export.base import Exporter, Playable
from fxcore.export.nam import NamExporter
from fxcore.export.onnx import OnnxExporter
from fxcore.models import EffectModel
from fxcore.models.conv import ConvNet
from fxcore.models.fir import FirNet
from fxcore.models.lstm import LstmNet
from fxcore.models.nam_wavenet import NamWaveNetSpec
from fxcore.training.cost import measure_cost

ENGINES = ("stream", "onnx", "nam")
TIMER = Path(__file__).with_name("time_nam.mjs")
TIMEOUT_SECONDS = 60

# nanoseconds a sample in NAM Core, compiled to WebAssembly
LSTM_PRODUCT, LSTM_CELL, LSTM_LAYER = 0.33, 15.8, 72.0
WAVENET_PRODUCT, WAVENET_ACTIVATION = 0.38, 10.4
CONVNET_PRODUCT, CONVNET_ACTIVATION = 0.37, 6.7
LINEAR_TAP = 0.81
FAST_PATHS = {"a2_lite": 528.0}  # sizes that the engine has code of their own for


def realtime_factor(playable: Playable, engine: str = "stream", nam_core: Path | None = None) -> float | None:
    """How many times faster than real time an engine plays 64-sample blocks; None where it cannot at all.

    NAM Core is measured where `nam_core` is the folder of its npm package, else predicted. Raises
    `ExportError` for an unknown engine, or where Node.js does not play the file.
    """
    check_engine(engine)
    model, sample_rate, _ = playable
    if engine == "stream":
        return measure_cost(model, sample_rate).realtime_factor
    if engine == "nam" and nam_core is None:
        return nam_realtime_factor(model, sample_rate)
    exporter: Exporter = NamExporter() if engine == "nam" else OnnxExporter()
    if exporter.refusal(model):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{exporter.extension}"
        path.write_bytes(exporter.encode(playable))
        if nam_core is not None and engine == "nam":
            return in_nam_core(path, nam_core)
        return measure_cost(exporter.decode(path).model, sample_rate).realtime_factor


def check_engine(engine: str) -> None:
    """Raise `ExportError` where there is no such engine."""
    if engine not in ENGINES:
        raise ExportError(f"unknown engine '{engine}'{did_you_mean(engine, ENGINES)}")


def in_nam_core(path: Path, nam_core: Path) -> float:
    """How many times faster than real time NAM Core, whose package is in `nam_core`, plays a .nam file."""
    command = ["node", str(TIMER), str(nam_core), str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS)
        return float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise ExportError(
            f"Node.js could not time {path.name} in NAM Core ({reason[-1] if reason else error!r}); "
            "install Node.js 20 or later, then `make engines`"
        ) from None


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
