"""Run one trial on this machine: data to the device, model, training, a checkpoint after each report."""

from functools import lru_cache
from typing import Self

import torch

from datasets.cache import cached_split
from datasets.store import SampleStore
from fxcore.errors import CheckpointError, FxError
from fxcore.metrics import measure
from fxcore.training import (
    Fit,
    Progress,
    Report,
    TrainingData,
    load_progress,
    measure_cost,
    save_progress,
)
from search.config import TrialTask

TRIAL_ERRORS = (FxError, RuntimeError)  # end one trial; torch reports what it lacks as RuntimeError


class TrialRun:
    """An iterator of reports that resumes from the trial's checkpoint where one is there.

    A resumed run gives the checkpoint's own report first: it may not have reached the study.
    """

    def __init__(self, task: TrialTask) -> None:
        torch.set_num_threads(max(1, int(task.cpus)))
        device = torch.device("cuda" if task.gpus > 0 else "cpu")
        config = task.config
        data = training_data(task.store)
        model = config.model.build(torch.Generator().manual_seed(config.seed)).to(device)
        self.task, self.cost = task, measure_cost(model, data.sample_rate)
        resume = _resumable(task)
        self._again = resume.report if resume else None
        self._fit = Fit(
            model,
            data,
            config.budget,
            seed=config.seed,
            objective=config.objective,
            training=config.training,
            resume=resume,
        )

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Report:
        """The next report, its checkpoint written; `StopIteration` at the end of the budget."""
        if self._again is not None:
            report, self._again = self._again, None
            return report
        report = next(self._fit)
        save_progress(self.task.checkpoint, self._fit.progress(), self.task.identity)
        return report


@lru_cache(maxsize=2)
def training_data(store: str) -> TrainingData:
    """The store's training and validation splits, decoded once a machine and opened once a process."""
    opened = SampleStore.open(store)
    sample_rate = opened.manifest.sample_rate
    silence = torch.zeros(1, 1, 8192)
    measure([(silence, silence, silence)], sample_rate)  # what metrics load comes off no trial's budget
    return TrainingData(
        train=cached_split(opened, "train"),
        validation=cached_split(opened, "validation"),
        sample_rate=sample_rate,
    )


def _resumable(task: TrialTask) -> Progress | None:
    """The trial's progress, or None where there is none that can be trusted."""
    if not task.checkpoint.exists():
        return None
    try:
        return load_progress(task.checkpoint, task.identity)
    except CheckpointError:
        return None  # refused by its hash: the trial starts again
