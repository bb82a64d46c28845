from pathlib import Path

import numpy as np
import pytest
import torch

from fxcore.audio import Recording
from fxcore.errors import CheckpointError
from fxcore.models import FAMILIES
from fxcore.tensorfile import write_tensors
from fxcore.training import Budget, Fit, Progress, TrainingData, load_progress, save_progress


def some_progress() -> Progress:
    dry = (0.2 * np.random.default_rng(0).standard_normal((1, 6_000))).astype(np.float32)
    recording = Recording("r", dry, np.tanh(3 * dry))
    model = FAMILIES.parse({"kind": "lstm", "hidden": 4, "output": "mixture"}).build(torch.Generator())
    run = Fit(model, TrainingData([recording], [recording], 44_100), Budget(steps=8, reports=1), seed=1)
    next(run)
    return run.progress()


@pytest.fixture(scope="module")
def progress() -> Progress:
    return some_progress()


@pytest.fixture
def checkpoint(progress: Progress, tmp_path: Path) -> Path:
    path = tmp_path / "trial.safetensors"
    save_progress(path, progress, "trial 1")
    return path


def test_what_was_saved_is_read(progress: Progress, checkpoint: Path) -> None:
    read = load_progress(checkpoint, "trial 1")
    assert (read.model, read.sample_rate, read.report) == (progress.model, 44_100, progress.report)
    assert torch.equal(read.rng, progress.rng)
    for name in ("weights", "best_weights", "optimiser"):
        ours, theirs = getattr(read, name), getattr(progress, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_it_is_one_file(checkpoint: Path) -> None:
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_any_trial_may_be_read_where_none_is_named(checkpoint: Path) -> None:
    assert load_progress(checkpoint).report.index == 1


def test_the_checkpoint_of_another_trial_is_refused(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is the checkpoint of another trial \(trial 1\)"):
        load_progress(checkpoint, "trial 2")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.999])
def test_a_truncated_checkpoint_is_refused(checkpoint: Path, share: float) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="is corrupt"):
        load_progress(checkpoint, "trial 1")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.9999])
def test_a_flipped_byte_is_noticed(checkpoint: Path, share: float) -> None:
    altered = bytearray(checkpoint.read_bytes())
    altered[int(share * len(altered))] ^= 0x10
    checkpoint.write_bytes(altered)
    with pytest.raises(CheckpointError, match="is corrupt"):
        load_progress(checkpoint, "trial 1")


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_progress(tmp_path / "none.safetensors", "trial 1")


def test_tensors_of_something_else_are_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(2)}, {"format": "other"})
    with pytest.raises(CheckpointError, match="is no checkpoint of a trial"):
        load_progress(tmp_path / "other.safetensors")
