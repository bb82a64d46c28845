from pathlib import Path

import numpy as np
import pytest
import torch

from fxcore.audio import Recording
from fxcore.errors import ExportError
from fxcore.export import Playable, export, load
from fxcore.models import FAMILIES, EffectModel, TrainingSpec
from fxcore.tensorfile import read_tensors, write_tensors
from fxcore.training import Budget, Fit, TrainingData, save_progress


def model_of(**settings: object) -> EffectModel:
    return FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    model = model_of(kind="conv", layers=2, window=9, channels=3)
    return export(Playable(model, 48_000, {}), "safetensors", tmp_path / "model.safetensors")


def test_weights_are_held_exactly(exported: Path) -> None:
    model = model_of(kind="conv", layers=2, window=9, channels=3)
    read = load(exported).model.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in model.state_dict().items())


def test_reordered_fields_are_refused(exported: Path) -> None:
    """Two biases of one shape whose names changed places: the hash covers names too."""
    data = exported.read_bytes()
    first, second = b"convs.0.bias", b"convs.1.bias"
    assert first in data
    swapped = data.replace(first, b"\0").replace(second, first).replace(b"\0", second, 1)
    exported.write_bytes(swapped)
    with pytest.raises(ExportError, match="is corrupt"):
        load(exported)


def test_weights_of_another_shape_are_refused(exported: Path) -> None:
    tensors, values = read_tensors(exported)
    values["model"]["channels"] = 4
    write_tensors(exported, tensors, values)
    with pytest.raises(ExportError, match="does not hold a model: size mismatch for"):
        load(exported)


def test_an_unknown_family_is_refused(exported: Path) -> None:
    tensors, values = read_tensors(exported)
    values["model"]["kind"] = "convv"
    write_tensors(exported, tensors, values)
    with pytest.raises(
        ExportError, match="does not hold a model: unknown family 'convv'; did you mean 'conv'"
    ):
        load(exported)


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(3)}, {})
    with pytest.raises(ExportError, match=r"a.safetensors is no exported model \(format None\)"):
        load(tmp_path / "a.safetensors")


def test_the_checkpoint_of_a_trial_plays_its_best_weights(tmp_path: Path) -> None:
    dry = (0.2 * np.random.default_rng(0).standard_normal((1, 6_000))).astype(np.float32)
    recording = Recording("r", dry, -dry)
    data = TrainingData([recording], [recording], 48_000)
    training = TrainingSpec(block_samples=256)
    run = Fit(
        model_of(kind="conv", layers=2, window=9), data, Budget(steps=6, reports=2), seed=0, training=training
    )
    *_, last = run
    save_progress(tmp_path / "trial.safetensors", run.progress(), "trial")
    read = load(tmp_path / "trial.safetensors")
    assert read.sample_rate == 48_000
    assert read.facts["validation"] == last.best
    best = model_of(kind="conv", layers=2, window=9)
    best.load_state_dict(run.best_weights)
    probe = torch.from_numpy(dry)[None]
    assert torch.equal(read.model.predict(probe), best.predict(probe))
