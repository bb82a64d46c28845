"""Exported `.nam` files played by NAM Core, the engine of Neural Amp Modeler's plug-ins, in Node.js.

NAM Core takes a rational function for tanh, and in an LSTM for the sigmoid too. So trained nets
differ a little from what we predict, and not at all once we compute with that function. A player
settles on silence before its first sample, as `predict` does: the beginning is compared as well.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from fxcore.audio import Recording
from fxcore.export import Playable, export
from fxcore.models import FAMILIES, EffectModel
from fxcore.models.lstm import LstmNet
from fxcore.models.nam_wavenet import SIZES
from fxcore.training import Budget, Fit, TrainingData

SAMPLE_RATE = 44_100
PAUSE_SAMPLES = 600  # before the dry begins
MAX_ESR = 3e-5  # 5e-8 to 1.5e-5 were measured, the more the quieter the dry
MAX_DIFFERENCE = 5e-3  # of the peak, at any one sample: up to 2.4e-3 was measured
MAX_OFFSET = 2e-3  # of the peak, in silence: up to 7e-4 was measured
MAX_ESR_WITH_ITS_TANH = 1e-11  # 1e-13 was measured: float32 rounding

MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm", "hidden": 16},
    "lstm of two layers": {"kind": "lstm", "layers": 2, "hidden": 8},
    "wavenet": {"kind": "wavenet", "layers": 8, "window": 256, "channels": 6, "kernel": 3},
    "gated wavenet": {
        "kind": "wavenet",
        "layers": 8,
        "window": 256,
        "channels": 6,
        "kernel": 3,
        "gated": True,
    },
    "wavenet of kernel 2": {"kind": "wavenet", "layers": 6, "window": 200, "channels": 5, "kernel": 2},
    "gated wavenet of ReLUs": {
        "kind": "wavenet",
        "layers": 6,
        "window": 128,
        "channels": 5,
        "activation": "relu",
        "gated": True,
    },
    "wavenet of leaky ReLUs": {
        "kind": "wavenet",
        "layers": 6,
        "window": 128,
        "channels": 5,
        "activation": "leaky_relu",
    },
    "conv": {"kind": "conv", "layers": 9, "window": 256, "channels": 8, "linear": 2},
    "A1 nano": {"kind": "nam_wavenet", "size": "a1_nano"},
    "A2 lite": {"kind": "nam_wavenet", "size": "a2_lite"},
}

Array = npt.NDArray[np.float64]
NamCore: TypeAlias = Callable[[Path, Tensor], Tensor]
pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", params=list(MODELS))
def distorter(request: pytest.FixtureRequest) -> EffectModel:
    """A net that was trained for some seconds to overdrive: its scales are those of a pair."""
    model = FAMILIES.parse(MODELS[request.param]).build(torch.Generator().manual_seed(0))
    training = model.spec.training.model_copy(update={"block_samples": 512})
    dry = bursts(40_000)[0].numpy()
    recording = Recording("overdrive", dry, 0.6 * np.tanh(8 * dry) + np.float32(0.02))
    data = TrainingData([recording], [recording], SAMPLE_RATE)
    (report,) = Fit(model, data, Budget(steps=400, reports=1), seed=1, objective="esr", training=training)
    assert report.metrics["esr"] < 0.1
    return model.eval()


def bursts(samples: int) -> Tensor:
    """A pause, then noise that swells and fades eight times, (1, 1, T)."""
    dry = 0.2 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(1))
    dry *= torch.linspace(0, 8 * torch.pi, samples).sin() ** 2
    dry[..., :PAUSE_SAMPLES] = 0.0
    return dry


def played(model: EffectModel, dry: Tensor, folder: Path, nam_core: NamCore) -> Tensor:
    """What NAM Core makes of a dry (1, 1, T) with the model's export, (1, 1, T)."""
    return nam_core(export(Playable(model, SAMPLE_RATE, {}), "nam", folder / "model.nam"), dry)


def esr(wet: Tensor, pred: Tensor) -> float:
    return float((wet - pred).square().sum() / pred.square().sum())


@pytest.mark.parametrize("gain", [0.1, 1.0, 4.0], ids=["quiet", "as trained", "loud"])
def test_the_engine_plays_what_we_predict(
    distorter: EffectModel, gain: float, tmp_path: Path, nam_core: NamCore
) -> None:
    dry = gain * bursts(12_000)
    wet, pred = played(distorter, dry, tmp_path, nam_core), distorter.predict(dry)
    assert wet.shape == pred.shape
    assert esr(wet, pred) < MAX_ESR
    difference = (wet - pred).abs() / pred.abs().max()
    assert difference.max() < MAX_DIFFERENCE
    assert difference[..., :PAUSE_SAMPLES].max() < MAX_OFFSET


def test_with_the_engines_own_tanh_nothing_differs(
    distorter: EffectModel, tmp_path: Path, nam_core: NamCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry = bursts(8_000)
    wet = played(distorter, dry, tmp_path, nam_core)
    if isinstance(distorter, LstmNet):
        pred = torch.from_numpy(recurrence(distorter, dry))
    else:
        monkeypatch.setattr(Tensor, "tanh", engine_tanh)
        pred, state = torch.empty(1, 1, 0), distorter.initial_state()
        for block in torch.split(dry, 256, dim=-1):  # longer ones take tanh from a sigmoid
            wet_block, state = distorter.stream(block, state)
            pred = torch.cat([pred, wet_block], dim=-1)
    settled = distorter.spec.receptive_field or 0  # the silence before is played in a long block, too
    assert esr(wet[..., settled:], pred[..., settled:]) < MAX_ESR_WITH_ITS_TANH


@pytest.mark.parametrize("size", list(SIZES))
def test_every_size_of_its_own_is_played(size: str, tmp_path: Path, nam_core: NamCore) -> None:
    spec = FAMILIES.parse({"kind": "nam_wavenet", "size": size})
    model, dry = spec.build(torch.Generator().manual_seed(0)).eval(), bursts(8_000)
    model.set_scale(0.2, 0.1)
    assert esr(played(model, dry, tmp_path, nam_core), model.predict(dry)) < MAX_ESR


@pytest.mark.parametrize("taps", [30, 2_000])
def test_an_impulse_response_is_played(taps: int, tmp_path: Path, nam_core: NamCore) -> None:
    model = FAMILIES.parse({"kind": "fir", "taps": taps}).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.2, 0.1)
    dry = bursts(8_000)
    assert esr(played(model, dry, tmp_path, nam_core), model.predict(dry)) < MAX_ESR_WITH_ITS_TANH


def engine_tanh(signal: Any) -> Any:
    """`fast_tanh` of NAM Core's activations.h, of tensors and arrays."""
    size, square = abs(signal), signal * signal
    above = 2.45550750702956 * (1 + size) + (0.893229853513558 + 0.821226666969744 * size) * square
    below = 2.44506634652299 + (2.44506634652299 + square) * abs(signal + 0.814642734961073 * signal * size)
    return signal * above / below


def engine_sigmoid(signal: Array) -> Any:
    return 0.5 * (engine_tanh(0.5 * signal) + 1.0)


def recurrence(model: LstmNet, dry: Tensor) -> Array:
    """An LSTM with the engine's activations, settled on silence, (1, 1, T)."""
    held = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    layers, size = model.spec.layers, model.spec.hidden
    hidden, cell, wet = np.zeros((layers, size)), np.zeros((layers, size)), []
    silence = np.zeros(model.context_samples)
    for sample in np.concatenate([silence, dry[0, 0].double().numpy()]) / held["scale"][0]:
        heard = np.array([sample])
        for i in range(layers):
            gates = held[f"lstm.weight_ih_l{i}"] @ heard + held[f"lstm.weight_hh_l{i}"] @ hidden[i]
            gates += held[f"lstm.bias_ih_l{i}"] + held[f"lstm.bias_hh_l{i}"]
            into, forget, new, out = gates.reshape(4, size)
            cell[i] = engine_sigmoid(forget) * cell[i] + engine_sigmoid(into) * engine_tanh(new)
            heard = hidden[i] = engine_sigmoid(out) * engine_tanh(cell[i])
        wet.append(held["scale"][1] * (held["head.weight"] @ heard + held["head.bias"])[0])
    return np.array(wet[silence.size :])[None, None]
