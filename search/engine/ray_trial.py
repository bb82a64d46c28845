"""The process of a trial on Ray. What it imports, each new one waits for: nothing of the driver's side."""

from typing import Any

from ray import tune

from fxcore.errors import NotKeptError, TooLargeError
from search.config import TrialTask
from search.trial import TRIAL_ERRORS, TrialRun, first_line


class TrialActor(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """A worker process that runs one trial after another."""

    def setup(self, config: dict[str, Any]) -> None:
        self._task = TrialTask.from_dict(config["task"])
        self._trial: TrialRun | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """A report, or why the trial cannot go on; what kills the process is Tune's to retry."""
        try:
            if self._trial is None:
                self._trial = TrialRun(self._task)
            report = next(self._trial)
        except NotKeptError as error:
            return {"not_kept": str(error)}
        except TooLargeError as error:
            return {"too_large": str(error)}
        except TRIAL_ERRORS as error:
            return {"failure": first_line(error)}
        # tuples: Tune would flatten dicts
        return {"report": report, "cost": self._trial.cost, "remark": self._trial.remark}
