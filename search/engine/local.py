"""The local engine: trials one after another in this process, for tests and for exact repetition."""

from search.driver import Driver
from search.trial import TRIAL_ERRORS, TrialRun


def run(driver: Driver) -> None:
    """Run trials until the driver has none left."""
    while (task := driver.next_task()) is not None:
        try:
            trial = TrialRun(task)
            driver.record_cost(task.number, trial.cost)
            for report in trial:
                if not driver.report(task.number, report):
                    break
        except TRIAL_ERRORS as error:
            driver.fail(task.number, str(error).splitlines()[0])
