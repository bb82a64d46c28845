"""Programs played by their own engines: ONNX Runtime, and torch in a process without this project."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from fxcore.errors import ExportError
from fxcore.export import Playable, export, load
from fxcore.export.probe import in_blocks, probe
from fxcore.export.program import trace
from fxcore.export.twins import twin
from fxcore.models import FAMILIES, EffectModel
from fxcore.models.ballistics import SMOOTH, WINDOW

LSTM = {"kind": "lstm", "layers": 2, "hidden": 5, "tail_taps": 9}
GRU = {"kind": "gru", "hidden": 5, "output": {"kind": "mixture", "bits": 24}}
CONV = {"kind": "conv", "layers": 3, "window": 20, "channels": 4, "pool": 2}
PITCH = pytest.param({"kind": "pitch_shift", "window_samples": 512}, marks=pytest.mark.slow)
LATE_DELAY = {"kind": "modulated_delay", "max_delay_samples": 64, "direct_taps": 8}


def model_of(settings: dict[str, Any]) -> EffectModel:
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.11, 0.37)
    return model


def bursts(samples: int = 1_500) -> torch.Tensor:
    """Noise that swells from silence to full scale, (1, 1, T)."""
    noise = torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(1))
    return (noise / 3).clamp(-1, 1) * torch.linspace(-0.3, 1.0, samples).clamp(min=0)


@pytest.mark.parametrize("settings", [LSTM, GRU, CONV, LATE_DELAY, PITCH], ids=lambda s: s["kind"])
def test_onnx_runtime_plays_what_we_predict_from_zeros_after_the_silence_that_the_file_names(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    model = model_of(settings)
    path = export(Playable(model, 44_100, {"name": "amp"}), "onnx", tmp_path / "amp.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["fxsearch"])
    assert (facts["sample_rate"], facts["facts"]) == (44_100, {"name": "amp"})
    names = [each.name for each in session.get_inputs()]
    types = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    state = [np.zeros(i.shape, types[i.type]) for i in session.get_inputs() if i.name != "dry"]
    dry = np.concatenate([np.zeros(facts["settle_samples"], np.float32), bursts()[0, 0].numpy()])
    played = []
    for block in np.split(dry, range(37, len(dry), 200)):
        given = {"dry": block[None, None], **{f"state_{i}": part for i, part in enumerate(state)}}
        wet, *state = session.run(None, {name: given[name] for name in names})
        played.append(wet[0, 0])
    wet = np.concatenate(played)[facts["settle_samples"] :]
    np.testing.assert_allclose(wet, model.predict(bursts())[0, 0].numpy(), rtol=0, atol=2e-5)


PLAY_ALONE = """
import json, sys
import numpy as np
import torch
facts = {"fxsearch.json": ""}
play = torch.export.load(sys.argv[1], extra_files=facts).module()
facts = json.loads(facts["fxsearch.json"])
state = [torch.zeros(shape, dtype=getattr(torch, dtype)) for shape, dtype in facts["state"]]
dry = torch.from_numpy(np.fromfile(sys.argv[2], np.float32))
dry = torch.cat([torch.zeros(facts["settle_samples"]), dry])
played = []
for block in dry.split(333):
    wet, state = play(block[None, None], state)
    played.append(wet[0, 0])
torch.cat(played)[facts["settle_samples"]:].numpy().tofile(sys.argv[3])
assert not any(name.split(".")[0] in ("fxcore", "search", "datasets") for name in sys.modules)
"""


@pytest.mark.parametrize("settings", [LSTM, CONV, PITCH], ids=lambda s: s["kind"])
def test_torch_alone_plays_what_we_predict(settings: dict[str, Any], tmp_path: Path) -> None:
    model = model_of(settings)
    path = export(Playable(model, 44_100, {}), "torchscript", tmp_path / "amp.pt2")
    bursts()[0, 0].numpy().tofile(tmp_path / "dry.f32")
    arguments = [sys.executable, "-I", "-c", PLAY_ALONE, str(path), "dry.f32", "wet.f32"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wet = np.fromfile(tmp_path / "wet.f32", np.float32)
    np.testing.assert_allclose(wet, model.predict(bursts())[0, 0].numpy(), rtol=0, atol=2e-6)


def test_a_program_says_nothing_of_where_the_code_lay(tmp_path: Path) -> None:
    path = export(Playable(model_of(CONV), 44_100, {}), "torchscript", tmp_path / "amp.pt2")
    assert b"fxcore" not in path.read_bytes()


def compressor(law: str, **changes: float) -> EffectModel:
    model = model_of({"kind": "dynamics", "law": law})
    with torch.no_grad():
        model.get_parameter("settings")[WINDOW] = changes.get("window", 1.0)
        model.get_parameter("settings")[SMOOTH] = changes.get("smooth", 0.0)
        model.get_buffer("structure")[1] = changes.get("feedback", 0.0)
        model.get_parameter("bend_db").copy_(
            0.3 * torch.randn(57, generator=torch.Generator().manual_seed(2))
        )
    return model


@pytest.mark.parametrize("law", ["level", "power", "gain"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"window": 20.5}, {"smooth": 30.0}, {"window": 3.3, "smooth": 9.0, "feedback": 1.0}],
    ids=["peak", "rms", "smooth", "feedback"],
)
def test_a_scanned_compressor_is_the_compiled_one(law: str, changes: dict[str, float]) -> None:
    model, dry = compressor(law, **changes), bursts(300)
    torch.testing.assert_close(twin(model).predict(dry), model.predict(dry), rtol=0, atol=1e-5)


@pytest.mark.parametrize("loop", [0.0, 0.4])
def test_a_scanned_delay_is_the_one_in_blocks(loop: float) -> None:
    model, dry = model_of(LATE_DELAY), bursts(300)
    with torch.no_grad():
        model.get_parameter("loop").fill_(loop / 2)
    torch.testing.assert_close(twin(model).predict(dry), model.predict(dry), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("semitones", "delay_samples"), [(-12.0, 0), (7.3, 101)])
@pytest.mark.parametrize("settings", [{}, {"window_samples": 1031, "tail_samples": 40}], ids=str)
def test_a_framed_shift_is_the_compiled_one(
    settings: dict[str, Any], semitones: float, delay_samples: int
) -> None:
    """A click, tones in between two bins and silence included: where rounding could decide, it does not."""
    model = model_of({"kind": "pitch_shift", **settings})
    with torch.no_grad():
        model.get_parameter("semitones").fill_(semitones)
        model.get_parameter("dry_gain").fill_(0.3)
        model.get_buffer("delay_samples").fill_(delay_samples)
    dry = torch.cat(
        [probe(44_100, 3_000), 0.5 * (torch.arange(3_000) * torch.pi * 41 / 512).sin()[None, None]], -1
    )
    pred = model.predict(dry)
    assert difference_of(pred, in_blocks(twin(model), dry)) < 1e-6
    assert difference_of(pred, twin(model).predict(dry)) < 1e-6


def difference_of(pred: torch.Tensor, other: torch.Tensor) -> float:
    return float((pred - other).abs().max() / pred.abs().max())


def test_an_unknown_operation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from fxcore.export import onnx as format_
    from fxcore.export import onnx_operations

    monkeypatch.delitem(onnx_operations.OPERATIONS, torch.ops.aten.relu.default)
    with pytest.raises(ExportError, match=r"cannot hold the operation aten.relu.default"):
        format_.to_onnx(trace(model_of(CONV)))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return export(Playable(model_of(CONV), 44_100, {}), "onnx", tmp_path / "amp.onnx")


def test_weights_that_changed_places_are_refused(written: Path) -> None:
    model = onnx.load(written)
    first, second, *_ = (w for w in model.graph.initializer if list(w.dims) == [4])
    first.name, second.name = second.name, first.name
    onnx.save(model, written)
    with pytest.raises(ExportError, match="does not match the digest"):
        load(written)


def test_a_weight_that_is_no_number_is_named(written: Path) -> None:
    model = onnx.load(written)
    weight = next(w for w in model.graph.initializer if len(w.dims) == 3)
    broken = numpy_helper.to_array(weight).copy()
    broken[0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    onnx.save(model, written)
    with pytest.raises(ExportError, match=f"the weights '{weight.name}' hold NaN"):
        load(written)


def test_another_projects_onnx_file_is_refused(written: Path) -> None:
    model = onnx.load(written)
    del model.metadata_props[:]
    onnx.save(model, written)
    with pytest.raises(ExportError, match="metadata 'fxsearch' is missing"):
        load(written)
