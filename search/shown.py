"""What a sampler is shown of many trials: the best, and the latest that ended or run.

A draw by TPE takes longer the more trials it looks at, 0.1 ms for each: with ten thousand, a second. It takes
at most 25 for the good ones (a tenth of all); the rest only tell where the others were drawn lately.
"""

import heapq
from collections.abc import Container, Sequence
from copy import deepcopy as copied

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
BEST, LATEST_ENDED, LATEST_RUNNING = 50, 150, 100
MOST = BEST + LATEST_ENDED + LATEST_RUNNING


class ShownTrials(InMemoryStorage):
    """One study's trials in memory, of which `get_all_trials` gives `MOST` where there are more.

    Which they are depends on the trials alone, not on the order in which they ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self._chosen: list[int] | None = None  # ids; None: to be chosen again

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if states == (TrialState.WAITING,):  # how a trial that was put in the queue is found
            return super().get_all_trials(study_id, deepcopy, states)
        if self._chosen is None:
            self._chosen = _choose(super().get_all_trials(study_id, deepcopy=False))
        trials = [self.get_trial(trial_id) for trial_id in self._chosen]
        shown = [trial for trial in trials if states is None or trial.state in states]
        return copied(shown) if deepcopy else shown

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._chosen = None
        return super().create_new_trial(study_id, template_trial)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._chosen = None
        return super().set_trial_state_values(trial_id, state, values)


def _choose(trials: list[FrozenTrial]) -> list[int]:
    """Ids of those that are shown, in order."""
    if len(trials) > MOST:
        ended = [trial for trial in trials if trial.state in ENDED]
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        best = heapq.nsmallest(BEST, ended, key=_rank)
        trials = [*best, *ended[-LATEST_ENDED:], *running[-LATEST_RUNNING:]]
    return sorted({trial._trial_id for trial in trials})


def _rank(trial: FrozenTrial) -> tuple[float, ...]:
    """As TPE ranks trials: by value, then those that were stopped, by how far they came."""
    if trial.state == TrialState.COMPLETE:
        return 0, trial.values[0]
    step, value = max(trial.intermediate_values.items(), default=(0, float("inf")))
    return 1, -step, value
