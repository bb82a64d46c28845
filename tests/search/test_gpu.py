"""Trials on a GPU; models and steps are asked of in `tests/contracts` and `tests/fxcore`."""

import pytest
import torch

from fxcore.errors import TooLargeError
from fxcore.models import FAMILIES, TrainingSpec
from fxcore.training import Budget
from search.config import TrialConfig, TrialTask
from search.trial import TrialRun

pytestmark = pytest.mark.gpu

BATCH = 64


def run(search, folder, batch: int) -> TrialRun:
    config = TrialConfig(
        model=FAMILIES.parse({"kind": "conv", "channels": 32, "layers": 4, "window": 64}),
        training=TrainingSpec(batch=batch, block_samples=8192),
        budget=Budget(steps=9),
        objective="mr_stft",
        seed=0,
    )
    return TrialRun(
        TrialTask(
            number=0,
            identity=f"batch-{batch}",
            config=config,
            store=search.store().uri,
            checkpoints=str(folder / "checkpoints"),
            cpus=1,
            gpus=1,
        )
    )


@pytest.fixture
def memory_for():
    """Let this process have so much of the GPU's memory that a batch fits whose run has just ended."""
    total = torch.cuda.get_device_properties(0).total_memory

    def limit(share: float) -> None:
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(share * peak / total)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_out_of_memory_a_trial_goes_on_with_half_the_batch(tiny_search, tmp_path, memory_for) -> None:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    whole = run(tiny_search, tmp_path, BATCH)
    assert [report.index for report in whole] == list(range(1, 10))
    assert whole.remark is None
    assert whole._fit.model.scale.device.type == "cuda"
    del whole
    memory_for(0.75)
    halved = run(tiny_search, tmp_path, BATCH + 1)
    assert [report.index for report in halved] == list(range(1, 10))
    assert halved.remark == f"out of memory with a batch of {BATCH + 1}; trained with {(BATCH + 1) // 2}"


def test_out_of_memory_twice_a_trial_is_infeasible(tiny_search, tmp_path, memory_for) -> None:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    list(run(tiny_search, tmp_path, BATCH))
    memory_for(0.3)
    with pytest.raises(TooLargeError, match="does not fit into memory, with a batch of 128 either"):
        next(run(tiny_search, tmp_path, 4 * BATCH))
