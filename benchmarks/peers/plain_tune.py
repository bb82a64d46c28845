"""Trials by Ray Tune with its own random search and reused actors; prints when each ended, as JSON.

    python plain_tune.py empty STORE CONFIG TRIALS SLOTS    # a trial only reports, as often as ours
    python plain_tune.py same STORE CONFIG TRIALS SLOTS     # it trains the model of ours, and keeps nothing

CONFIG is a trial's configuration as JSON.
"""

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ |= {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_RESULT_BUFFER_LENGTH": "1",  # each report is seen before the next is made, as with ours
}

import logging

import ray
import torch
from ray import tune

from fxcore.models import FAMILIES
from fxcore.training import Fit
from search.config import TrialConfig
from search.trial import training_data


class Empty(tune.Trainable):
    """Reports a number."""

    def setup(self, config: dict[str, Any]) -> None:
        self._reports, self._index = config["reports"], 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._index += 1
        return {"value": 1.0 / self._index, "done": self._index == self._reports}


class Same(Empty):
    """Trains."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        super().setup(config)
        trial = TrialConfig.from_dict(config["trial"])
        model = trial.model.build(torch.Generator().manual_seed(int(config["seed"])))
        data = training_data(config["store"])
        self._fit = Fit(model, data, trial.budget, seed=trial.seed, training=trial.training)

    def step(self) -> dict[str, Any]:
        return {**super().step(), "value": next(self._fit).best["log_mel_share"]}


class Ends(tune.Callback):
    """When each trial ended, in seconds of the epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.times.append(time.time())


def main(what: str, store: str, config: str, trials: int, slots: int) -> None:
    trial, ends = json.loads(config), Ends()
    ray.init(
        address="local",
        num_cpus=slots,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )
    space = {
        "trial": trial,
        "store": store,
        "reports": 1 if FAMILIES[trial["model"]["kind"]].fitted else trial["budget"]["reports"],
        "seed": tune.randint(0, 2**31),
    }
    with tempfile.TemporaryDirectory() as scrap:
        results = tune.Tuner(
            tune.with_resources(Same if what == "same" else Empty, {"cpu": 1}),
            param_space=space,
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=scrap,
                verbose=0,
                callbacks=[ends],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed: {results.errors[0]}")
    print(json.dumps(ends.times))


if __name__ == "__main__":
    what, store, config, trials, slots = sys.argv[1:]
    main(what, store, config, int(trials), int(slots))
