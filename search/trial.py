"""Run one trial on this machine: data to the device, model, training, a checkpoint after each report."""

from functools import lru_cache
from typing import Self

import torch

from datasets.cache import cached_split
from datasets.store import SampleStore
from fxcore.errors import FxError, TooLargeError
from fxcore.metrics import measure
from fxcore.training import Cost, Fit, Report, TrainingData, measure_cost
from search.checkpoints import PATIENCE_SECONDS, Checkpoints
from search.config import TrialTask

TRIAL_ERRORS = (FxError, RuntimeError, MemoryError, OSError)  # end one trial; torch tells by RuntimeError
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
MOST_HALVINGS = 1
PLAYED_SECONDS = 0.05  # of CPU time, to measure what playing costs


class TrialRun:
    """An iterator of reports that resumes from the trial's checkpoint where one is there.

    A resumed run gives the checkpoint's own report first: it may not have reached the study. Where memory
    runs out, it goes on once with half the batch; a second time raises `TooLargeError`.
    """

    cost: Cost
    remark: str | None = None  # what a person should know of the trial

    def __init__(self, task: TrialTask) -> None:
        torch.set_num_threads(max(1, int(task.cpus)))
        self.task, self._halvings = task, task.halvings
        self._checkpoints = Checkpoints(task.checkpoints)
        self._again: Report | None = None
        self._fit: Fit | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Report:
        """The next report, its checkpoint written; `StopIteration` at the end of the budget.

        Raises `NotKeptError` where the checkpoint could not be written.
        """
        try:
            return self._next()
        except (RuntimeError, MemoryError) as error:
            if not _ran_out_of_memory(error):
                raise
        self._halvings, self._fit = self._halvings + 1, None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self.__next__()

    def _next(self) -> Report:
        fit = self._fit or self._start()
        if self._again is not None:
            report, self._again = self._again, None
            return report
        report = next(fit)
        self._checkpoints.save(self.task.identity, fit.progress())
        return report

    def _start(self) -> Fit:
        """Build what the trial needs, or build it again with a smaller batch."""
        task, config = self.task, self.task.config
        training = config.training
        if self._halvings:
            batch = training.batch >> self._halvings
            if self._halvings > MOST_HALVINGS or batch == 0:
                raise TooLargeError(
                    f"it does not fit into memory, with a batch of {max(1, 2 * batch)} either"
                )
            self.remark = f"out of memory with a batch of {training.batch}; trained with {batch}"
            training = training.model_copy(update={"batch": batch})
        device = torch.device("cuda" if task.gpus > 0 and torch.cuda.is_available() else "cpu")
        if task.gpus > 0 and device.type == "cpu":
            self.remark = "torch found no GPU where it ran; trained on the CPU"
        data = training_data(task.store)
        model = config.model.build(torch.Generator().manual_seed(config.seed))
        self.cost = measure_cost(model, data.sample_rate, seconds=PLAYED_SECONDS)  # where it will be played
        resume = self._checkpoints.newest(task.identity)
        self._again = resume.report if resume else None
        self._fit = Fit(
            model.to(device),
            data,
            config.budget,
            seed=config.seed,
            objective=config.objective,
            training=training,
            resume=resume,
        )
        return self._fit


@lru_cache(maxsize=2)
def training_data(store: str) -> TrainingData:
    """The store's training and validation splits, decoded once a machine and opened once a process."""
    opened = SampleStore.open(store, PATIENCE_SECONDS)
    sample_rate = opened.manifest.sample_rate
    silence = torch.zeros(1, 1, 8192)
    measure([(silence, silence, silence)], sample_rate)  # what metrics load comes off no trial's budget
    return TrainingData(
        train=cached_split(opened, "train"),
        validation=cached_split(opened, "validation"),
        sample_rate=sample_rate,
    )


def first_line(error: BaseException) -> str:
    """What went wrong, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _ran_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in OUT_OF_MEMORY)
