"""How near the playing cost predicted from the settings comes to the measured one; fits what it is made of.

    python benchmarks/playing_cost.py --fit --seed 0   # the constants of `fxcore.training.cost`
    python benchmarks/playing_cost.py --seed 1         # the table, on draws that were not fitted to

Settings are drawn from the ranges of each family, with any output it can have. Of each model, the median of
five measurements by CPU time; and of all, once more at the end: what differs then is the machine's doing.
The constants are a least-squares fit on the logarithm of the time.
"""

import argparse
import random
import statistics
from collections.abc import Iterator
from itertools import compress
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from fxcore.errors import SpecError
from fxcore.models import FAMILIES, PRESETS, ModelSpec
from fxcore.models.base import PLAYED_BLOCK_SAMPLES
from fxcore.training import measure_cost, predicted_cost
from fxcore.training.cost import REFERENCE
from fxcore.training.work import Work, count_work
from search.space import Dimension, Numbers, SearchSpace, Value

RATE = 48_000
MEASUREMENTS, MEASURED_SECONDS = 5, 0.07
OUTPUTS = {"kind": ["regression", "mixture", "factorised", "softmax"], "bits": [8, 16]}


class Timed(NamedTuple):
    """A model, and seconds for a block."""

    spec: ModelSpec
    measured: float
    again: float
    predicted: float


def main() -> None:
    """Print the table, or with `--fit` the constants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draws", type=int, default=12, help="of each family, beside its defaults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit", action="store_true", help="fit the constants in place of the table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    drawn = list(specs(arguments.draws, random.Random(arguments.seed)))
    measured = [measured_seconds(spec) for spec in drawn]
    if arguments.fit:
        print(fitted(drawn, measured))
        return
    again = [measured_seconds(spec) for spec in drawn]
    block = PLAYED_BLOCK_SAMPLES / RATE
    predicted = [block / predicted_cost(spec, RATE).realtime_factor for spec in drawn]
    timed = [Timed(*each) for each in zip(drawn, measured, again, predicted, strict=True)]
    print("| family | models | us a block | median | 90th percentile | rank correlation | measured again |")
    print("|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        print(row(family, [each for each in timed if each.spec.kind == family]))
    print(row("all", timed))


def specs(draws: int, rng: random.Random) -> Iterator[ModelSpec]:
    """Every family's defaults, `draws` from its ranges, and the presets."""

    def suggest(_: str, dimension: Dimension) -> Value:
        if not isinstance(dimension, Numbers):
            return rng.choice(dimension.values)
        low, high = (
            np.log([dimension.low, dimension.high]) if dimension.log else (dimension.low, dimension.high)
        )
        value = rng.uniform(low, high)
        value = float(np.exp(value)) if dimension.log else value
        return round(value) if dimension.integral else value

    for family in FAMILIES:
        yield FAMILIES.parse(family)
        space, left = SearchSpace({family: None}, OUTPUTS, {}), draws if FAMILIES[family].ranges else 0
        while left:
            try:
                spec, _ = space.draw(suggest)
            except SpecError:  # values that do not go together
                continue
            left -= 1
            yield spec
    yield from PRESETS.values()


def measured_seconds(spec: ModelSpec) -> float:
    """Median for a block."""
    model = spec.build(torch.Generator().manual_seed(0)).eval()
    costs = [measure_cost(model, RATE, seconds=MEASURED_SECONDS) for _ in range(MEASUREMENTS)]
    return PLAYED_BLOCK_SAMPLES / RATE / statistics.median(cost.realtime_factor for cost in costs)


def fitted(drawn: list[ModelSpec], measured: list[float]) -> Work:
    """Seconds for one of each kind of work, of the models that play in torch."""
    in_torch = [spec.compiled_seconds is None for spec in drawn]
    models = [spec.build(torch.Generator().manual_seed(0)).eval() for spec in compress(drawn, in_torch)]
    counts, log_measured = np.array([count_work(model) for model in models]), np.log(measured)[in_torch]
    found = least_squares(
        lambda log_prices: np.log(counts @ np.exp(log_prices)) - log_measured, np.log(REFERENCE)
    )
    return Work(*(float(f"{seconds:.2g}") for seconds in np.exp(found.x)))


def row(name: str, timed: list[Timed]) -> str:
    """One line of the table."""
    measured, again, predicted = np.array([each[1:] for each in timed]).T
    off, repeated = np.abs(np.log(predicted / measured)), np.abs(np.log(again / measured))
    span = f"{1e6 * measured.min():.0f} to {1e6 * measured.max():.0f}"
    rank = f"{spearmanr(predicted, measured).statistic:.2f}" if len(set(predicted)) > 1 else ""
    spread = f"{np.median(off):.2f} | {np.quantile(off, 0.9):.2f}"
    return f"| {name} | {len(timed)} | {span} | {spread} | {rank} | {np.median(repeated):.2f} |"


if __name__ == "__main__":
    main()
