"""The local engine: trials one after another in this process, for tests and for exact repetition."""

from fxcore.errors import NotKeptError, TooLargeError
from search.config import TrialTask
from search.driver import Driver
from search.trial import TRIAL_ERRORS, TrialRun, first_line


def run(driver: Driver) -> None:
    """Run trials until the driver has none left."""
    driver.progress.slots(1)
    while (task := driver.next_task()) is not None:
        try:
            _run(driver, task)
        except NotKeptError as error:
            driver.set_aside(task.number, str(error))
        except TooLargeError as error:
            driver.fail(task.number, str(error), "infeasible")
        except TRIAL_ERRORS as error:
            driver.fail(task.number, first_line(error))


def _run(driver: Driver, task: TrialTask) -> None:
    trial, remark = TrialRun(task), None
    for report in trial:
        driver.record_cost(task.number, trial.cost)
        if trial.remark != remark:
            driver.remark(task.number, remark := str(trial.remark))
        if not driver.report(task.number, report):
            break
