"""Train one model: `Fit` yields reports, and whoever iterates decides when to stop.

    for report in Fit(model, data, budget, seed=7):
        if report.metrics["log_mel_share"] > limit:
            break

Data lies on the device once; a step is one gather, one forward and one backward pass. The learning
rate follows the share of the budget spent: a short linear warm-up, then a cosine to zero.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from fxcore.audio import Recording, Signal
from fxcore.losses import WeightedLoss
from fxcore.metrics import METRICS, OBJECTIVE
from fxcore.models import EffectModel, ModelSpec, TrainingSpec
from fxcore.spec import Spec
from fxcore.training.evaluate import Judgement, Pair, judge, to_device
from fxcore.training.steps import Optimiser
from fxcore.training.windows import Windows


class Budget(Spec):
    """How long a trial may train: compute seconds, or optimiser steps where runs must repeat exactly.

    Compute seconds are CPU seconds of this process (wall seconds on a GPU), evaluation included.
    """

    compute_seconds: float | None = Field(None, gt=0.0)
    steps: int | None = Field(None, ge=1)
    reports: int = Field(9, ge=1, le=1000)  # evenly spread over the budget

    @model_validator(mode="after")
    def _one_of_two(self) -> "Budget":
        if (self.compute_seconds is None) == (self.steps is None):
            raise ValueError("a budget needs either compute_seconds or steps, not both or neither")
        return self

    def share(self, steps: int, compute_seconds: float) -> float:
        """Spent part of the budget, 0 to 1."""
        if self.steps is not None:
            return min(steps / self.steps, 1.0)
        assert self.compute_seconds is not None
        return min(compute_seconds / self.compute_seconds, 1.0)


EXPLODED_LOSS = 1e4  # silence has a loss of about 2: no model comes back from there
WORST_LOSS = 1e9  # in place of a loss that is no number: JSON knows none
CHECK_EVERY_DRAWS = 32  # for a loss that is no number any more
REFINEMENTS = 27  # of the parts that are solved rather than trained, spread over the budget


class TrainingData(NamedTuple):
    """What a model learns from and is judged on while it does."""

    train: Sequence[Recording]
    validation: Sequence[Recording]
    sample_rate: int


class Report(NamedTuple):
    """One look at a model in training."""

    # 1 .. budget.reports; it hides tuple.index, which nobody needs here; every record on disk says "index"
    index: int  # type: ignore[assignment]
    step: int
    compute_seconds: float
    loss: float  # mean since the last report
    metrics: dict[str, float]  # on the validation split, now
    best: dict[str, float]  # where the objective was lowest
    best_step: int
    diverged: bool  # the loss is no number, or beyond all measure
    collapsed: bool = False  # whether nothing but a constant came out so far, at the best either

    def rating(self, objective: str) -> float:
        """The best value of a metric, or the worst there is where nothing but a constant came out."""
        return METRICS[objective].worst if self.collapsed else self.best[objective]


class Best(NamedTuple):
    """The lowest objective so far, and where."""

    metrics: dict[str, float]
    step: int
    collapsed: bool


class Progress(NamedTuple):
    """All that a `Fit` needs to go on where another stopped: tensors and plain values."""

    model: ModelSpec
    sample_rate: int
    report: Report
    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    rng: Tensor


class Fit:
    """Trains `model` on `data` within `budget`: an iterator of reports, one at each equal share.

    A family whose initialisation is all its training gives one report, the last, whatever the budget.
    """

    def __init__(
        self,
        model: EffectModel,
        data: TrainingData,
        budget: Budget,
        *,
        seed: int,
        objective: str = OBJECTIVE,
        training: TrainingSpec | None = None,
        resume: Progress | None = None,
    ) -> None:
        """`objective` names the metric whose lowest value marks the best weights."""
        self.model, self.data, self.budget, self.objective = model, data, budget, objective
        self.training = training or model.spec.training
        length = self.training.block_samples * self.training.blocks
        self._windows: Windows | None = None
        if not model.spec.fitted:  # such a family looks at whole recordings
            self._windows = Windows(data.train, model.context_samples, length, model.scale.device)
        self._validation = to_device(data.validation, model.scale.device)
        self.rng = torch.Generator().manual_seed(seed)
        if (
            model.scale.device.type == "cuda"
        ):  # TF32 is no faster for nets as small, and is not what plays them
            torch.backends.cudnn.allow_tf32 = False
        self.optimiser = Optimiser(model, self.training, WeightedLoss(self.training, data.sample_rate))
        self.last: Report | None = None
        self.best_weights: dict[str, Tensor] = {}
        self._best: Best | None = None
        self._step = 0
        self._warm_up()
        self._clock_zero = self._clock()
        if resume is None:
            model.set_scale(_deviation(r.dry for r in data.train), _deviation(r.wet for r in data.train))
        else:
            self._restore(resume)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Report:
        """Train until the next report is due; `StopIteration` when the budget is spent."""
        last, fitted = self.last, self.model.spec.fitted
        if last is not None and (last.diverged or last.index == self.budget.reports):
            raise StopIteration
        if last is None:
            self._begin()
        index = self.budget.reports if fitted else last.index + 1 if last else 1
        loss = None if fitted else self._train_until(index / self.budget.reports)
        if loss is None:  # a coarse clock: nothing was trained since the last report
            loss = last.loss if last else 0.0
        diverged = not math.isfinite(loss) or loss > EXPLODED_LOSS
        if diverged:
            loss = WORST_LOSS
            judged = Judgement({name: metric.worst for name, metric in METRICS.items()}, collapsed=False)
        else:
            judged = judge(self.model, self._validation, self.data.sample_rate)
        best = self._best
        if best is None or (not diverged and self._is_better(judged, best)):
            best = self._keep(judged)
        self.last = Report(
            index,
            self._step,
            self.compute_seconds,
            loss,
            judged.metrics,
            best.metrics,
            best.step,
            diverged,
            best.collapsed,
        )
        return self.last

    @property
    def compute_seconds(self) -> float:
        """Spent so far, by this and by earlier processes."""
        self.optimiser.finish()
        return self._clock() - self._clock_zero

    def progress(self) -> Progress:
        """What a checkpoint holds, after at least one report."""
        assert self.last is not None, "nothing was reported yet"
        return Progress(
            model=self.model.spec,
            sample_rate=self.data.sample_rate,
            report=self.last,
            weights=self.model.best_copy(),
            best_weights=self.best_weights,
            optimiser=self.optimiser.state_dict(),
            rng=self.rng.get_state(),
        )

    def _begin(self) -> None:
        """Initialise; a start by structure is worth keeping, for the first steps may lose it."""
        self.model.initialise(self.data.train, self.data.sample_rate, self.rng)
        if self.model.spec.made_for is not None and not self.model.spec.fitted:
            self.model.eval()
            self._keep(judge(self.model, self._validation, self.data.sample_rate))

    def _keep(self, judged: Judgement) -> "Best":
        """The weights of now as the best so far."""
        self.best_weights = self.model.best_copy()
        self._best = Best(judged.metrics, self._step, judged.collapsed)
        return self._best

    def _is_better(self, judged: Judgement, best: "Best") -> bool:
        """A constant is worse than any sound, whatever its metrics."""
        if judged.collapsed != best.collapsed:
            return best.collapsed
        return judged.metrics[self.objective] < best.metrics[self.objective]

    def _warm_up(self) -> None:
        """What is loaded, or compiled for a GPU, once a process is not for its first trial to pay."""
        first = [Pair(pair.dry[..., :1], pair.wet[..., :1]) for pair in self._validation[:1]]
        judge(self.model, first, self.data.sample_rate)
        if self._windows is not None and self.model.scale.device.type == "cuda":
            dry, wet = self._windows.draw(self.training.batch, torch.Generator())
            self.optimiser.warm_up(dry, wet)

    def _restore(self, progress: Progress) -> None:
        self.model.load_state_dict(progress.weights)
        self.optimiser.load_state_dict(progress.optimiser)
        self.rng.set_state(progress.rng)
        self.last, self.best_weights = progress.report, progress.best_weights
        self._best = Best(self.last.best, self.last.best_step, self.last.collapsed)
        self._step = progress.report.step
        self._clock_zero -= progress.report.compute_seconds

    def _train_until(self, share: float) -> float | None:
        """Mean loss of the optimiser steps up to a share of the budget; None if none fitted in."""
        self.model.train()
        total, first_step, draws = torch.zeros((), device=self.model.scale.device), self._step, 0
        refined = int(REFINEMENTS * self.budget.share(self._step, self.compute_seconds))
        while (spent := self.budget.share(self._step, self._clock() - self._clock_zero)) < share:
            if int(REFINEMENTS * spent) > refined:
                self._refine()
                refined = int(REFINEMENTS * spent)
            self.optimiser.rate = self.training.learning_rate * self._schedule(spent)
            for loss in self._train_on_one_draw():
                total += loss
            self.optimiser.pace()
            draws += 1
            if draws % CHECK_EVERY_DRAWS == 0 and not bool(total.isfinite()):
                break
        self.model.eval()
        steps = self._step - first_step
        mean = float(total) / steps if steps else None
        if mean is not None and math.isfinite(mean):
            self._refine()
        return mean

    @torch.no_grad()
    def _refine(self) -> None:
        self.model.refine(self.data.train, self.rng)

    def _train_on_one_draw(self) -> Iterator[Tensor]:
        """Loss of each optimiser step on one draw of windows; a recurrent state goes from block to block."""
        assert self._windows is not None, "a fitted family takes no steps"
        dry, wet = self._windows.draw(self.training.batch, self.rng)
        if not self.model.recurrent:
            self._step += 1
            yield self.optimiser.step(dry, wet)[0]
            return
        context, block = self.model.context_samples, self.training.block_samples
        with torch.no_grad():
            _, state = self.model.step(dry[..., :context], self.model.zero_state(len(dry)))
        for dry_block, wet_block in zip(
            torch.split(dry[..., context:], block, -1), torch.split(wet, block, -1), strict=True
        ):
            self._step += 1
            loss, state = self.optimiser.step(dry_block, wet_block, state)
            yield loss

    def _clock(self) -> float:
        """CPU seconds of this process, or wall seconds where a GPU computes."""
        return time.process_time() if self.model.scale.device.type == "cpu" else time.perf_counter()

    def _schedule(self, spent: float) -> float:
        """Factor on the learning rate at a share of the budget."""
        warm_up = self.training.warm_up_share
        if spent < warm_up:
            return max(spent / warm_up, 0.05)
        return 0.5 * (1.0 + math.cos(math.pi * (spent - warm_up) / (1.0 - warm_up)))


def _deviation(signals: Iterable[Signal]) -> float:
    """Root mean square over all signals, summed in double precision."""
    energy, count = 0.0, 0
    for signal in signals:
        energy += float(np.square(signal, dtype=np.float64).sum())
        count += signal.size
    return math.sqrt(energy / max(count, 1))
