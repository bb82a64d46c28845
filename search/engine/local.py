"""The local engine: trials one after another in this process, for tests and for exact repetition."""

from fxcore.errors import FxError
from search.driver import Driver
from search.trial import TrialRun


def run(driver: Driver) -> None:
    """Run trials until the driver has none left."""
    while (task := driver.next_task()) is not None:
        try:
            trial = TrialRun(task)
            driver.record_cost(task.number, trial.cost)
            for report in trial:
                if not driver.report(task.number, report):
                    break
        except (FxError, RuntimeError) as error:  # torch reports what it lacks as RuntimeError
            driver.fail(task.number, str(error).splitlines()[0])
