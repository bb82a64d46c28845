"""What a sample costs by output and bit depth, and how well it can sound: regression and mu-law codes.

    python benchmarks/outputs.py [--seconds 20]

CPU time on one thread. Training is whole optimiser steps of an LSTM on 32 streams of 256 samples;
decoding is raw outputs to audio. Signal-to-noise ratios are of a distortion that the net was not
trained on: of the bare grid, and of an LSTM trained for some CPU seconds with each output.
"""

import argparse
import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fxcore import companding
from fxcore.audio import Recording
from fxcore.generators.track import Track
from fxcore.models import FAMILIES, OUTPUTS, EffectModel
from fxcore.training import Budget, Fit, TrainingData

RATE = 44_100
DRIVE = 10.0
HIDDEN = 32
BATCH, BLOCK_SAMPLES = 32, 256
DECODED_SAMPLES = 65_536
ROUNDS = 7
DEPTHS = {"regression": [0], "mixture": [8, 12, 16, 24], "factorised": [8, 12, 16], "softmax": [8, 9, 10]}


class Cost(NamedTuple):
    """CPU microseconds a sample."""

    training: float
    decoding: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="CPU seconds of training for each output")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    data, wet = distortion()
    models = [(kind, bits, build(kind, bits)) for kind, depths in DEPTHS.items() for bits in depths]
    costs = measure([model for *_, model in models])
    print("| output | bits | raw outputs | training us | decoding us | grid dB | trained dB |")
    print("|---|---|---|---|---|---|---|")
    for (kind, bits, model), cost in zip(models, costs, strict=True):
        grid = f"{grid_db(wet, bits):.0f}" if bits else ""
        cells = [kind, bits or "", model.spec.output.channels, f"{cost.training:.2f}", f"{cost.decoding:.2f}"]
        print(
            "|",
            *(f"{cell} |" for cell in [*cells, grid, f"{trained_db(model, data, seconds):.1f}"]),
            flush=True,
        )


def build(kind: str, bits: int) -> EffectModel:
    """The same LSTM with one of the outputs."""
    output = {"kind": kind, "bits": bits} if bits else {"kind": kind}
    spec = FAMILIES.parse({"kind": "lstm", "hidden": HIDDEN, "output": OUTPUTS.parse(output)})
    return spec.build(torch.Generator().manual_seed(0))


def distortion() -> tuple[TrainingData, Tensor]:
    """Forty seconds to train on, ten to be judged on, and the wet of these (1, 1, T)."""

    def recording(name: str, segments: int, seed: int) -> Recording:
        track = Track(segments=segments, segment_seconds=5.0)
        dry = track.render(RATE, np.random.default_rng(seed))
        return Recording(name, dry, 0.9 * np.tanh(DRIVE * dry))

    test = recording("test", 2, seed=2)
    data = TrainingData([recording("train", 8, seed=1)], [test], RATE)
    return data, torch.from_numpy(test.wet)[None]


def measure(models: list[EffectModel]) -> list[Cost]:
    """Least cost over some rounds, in which the models take turns."""
    tasks = [(training_steps(model), decodings(model)) for model in models]
    rounds = [[Cost(*(cpu_microseconds(task) for task in pair)) for pair in tasks] for _ in range(ROUNDS)]
    return [
        Cost(
            min(cost.training for cost in found) / (BATCH * BLOCK_SAMPLES),
            min(cost.decoding for cost in found) / DECODED_SAMPLES,
        )
        for found in zip(*rounds, strict=True)
    ]


def training_steps(model: EffectModel) -> Iterator[None]:
    """One optimiser step for each `next`."""
    rng = torch.Generator().manual_seed(0)
    dry, wet = (0.1 * torch.randn(BATCH, 1, BLOCK_SAMPLES, generator=rng) for _ in range(2))
    optimiser, state = torch.optim.Adam(model.parameters(), 1e-4), model.zero_state(BATCH)
    while True:
        optimiser.zero_grad()
        model.loss(model.step(dry, state)[0], wet).backward()
        optimiser.step()
        yield


def decodings(model: EffectModel) -> Iterator[None]:
    """One decoding for each `next`."""
    rng = torch.Generator().manual_seed(0)
    raw = torch.randn(1, DECODED_SAMPLES, model.spec.output.channels, generator=rng).transpose(1, 2)
    while True:
        with torch.no_grad():
            model.decode(raw)
        yield


def cpu_microseconds(task: Iterator[None]) -> float:
    """Of the next turn."""
    start = time.process_time()
    next(task)
    return 1e6 * (time.process_time() - start)


def grid_db(wet: Tensor, bits: int) -> float:
    """Signal to quantisation noise."""
    error = companding.decode(companding.encode(wet, bits), bits).double() - wet
    return float(10 * (wet.double().square().sum() / error.square().sum()).log10())


def trained_db(model: EffectModel, data: TrainingData, seconds: float) -> float:
    """Signal to error on the recording that took no part in training; a few reports choose the best."""
    model = build(model.spec.output.kind, model.spec.output.as_dict().get("bits", 0))
    reports = list(Fit(model, data, Budget(compute_seconds=seconds, reports=3), seed=1, objective="esr"))
    return -10 * math.log10(reports[-1].best["esr"])


if __name__ == "__main__":
    main()
