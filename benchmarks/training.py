"""How fast models are trained, beside Neural Amp Modeler and a plain PyTorch loop.

    python benchmarks/training.py                        # a distortion rendered here; about an hour
    python benchmarks/training.py dry.wav wet.wav        # a pair of yours, of a minute or more
    python benchmarks/training.py --peer PYTHON ...      # with a Python that has neural-amp-modeler
    python benchmarks/training.py --cpu-minutes 1 ...    # a shorter comparison of what is reached

Everything runs on one thread. Peers train in processes of their own, turn by turn with ours, so that
all meet the same machine; figures are per CPU second. Where PyTorch finds a GPU, all train there, and
seconds are those of the clock. Where no `--peer` is given, neural-amp-modeler is installed into an
environment in a temporary folder, with the build of PyTorch that runs here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
import torch
from torch.profiler import ProfilerActivity, profile

from fxcore.audio import Recording, read_mono
from fxcore.effects.distortion import Distortion
from fxcore.generators.track import Track
from fxcore.models import FAMILIES, EffectModel
from fxcore.training import Budget, Fit, TrainingData

NAM = "neural-amp-modeler==0.13.0"
PEERS = Path(__file__).parent / "peers"
TRAIN_SHARE = 0.87
TURN_S, TURNS = 8.0, 5
A1 = {"kind": "nam_wavenet", "size": "a1_standard"}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LSTM_40 = {"kind": "lstm", "hidden": 40, "skip": True}
PROFILED: list[dict[str, Any]] = [
    A1,
    LSTM_40,
    *({"kind": kind} for kind in FAMILIES if not FAMILIES[kind].fitted),
]
SHOWN_OPERATIONS = 5
PROFILED_SAMPLES = 200_000


def main(arguments: list[str]) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("pair", nargs="*", help="dry and wet; rendered where none is given")
    parser.add_argument("--peer", help="a Python that has neural-amp-modeler")
    parser.add_argument("--cpu-minutes", type=float, default=10.0, help="what neural-amp-modeler is given")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = pair_of(options.pair)
    if DEVICE == "cpu":
        print_shares_of_the_peak(data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pair(data, folder)
        nam = [options.peer or install(folder / "peer"), str(PEERS / "nam_a1.py"), str(folder)]
        print_throughput(data, folder, nam)
        print_race(data, nam, 60 * options.cpu_minutes)


def pair_of(paths: list[str]) -> TrainingData:
    """The pair's start to train on, its end to validate on."""
    if paths:
        (dry, sample_rate), (wet, _) = (read_mono(path) for path in paths)
    else:
        sample_rate = 44_100
        dry = Track(segments=10).render(sample_rate, np.random.default_rng(0))
        wet = Distortion()(dry, sample_rate)
    length = min(dry.shape[-1], wet.shape[-1])
    cut = int(TRAIN_SHARE * length)
    train, validation = (
        Recording(name, np.ascontiguousarray(dry[:, part]), np.ascontiguousarray(wet[:, part]))
        for name, part in (("train", slice(0, cut)), ("validation", slice(cut, length)))
    )
    return TrainingData([train], [validation], sample_rate)


def write_pair(data: TrainingData, folder: Path) -> None:
    """As peers read it: 24-bit wav."""
    for split, (recording,) in (("train", data.train), ("validation", data.validation)):
        for side, signal in (("dry", recording.dry), ("wet", recording.wet)):
            path = folder / f"{split}_{side}.wav"
            soundfile.write(path, signal.T, data.sample_rate, subtype="PCM_24")


def install(folder: Path) -> str:
    """A Python with neural-amp-modeler and the PyTorch of this one; its path."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    wanted = [f"torch=={torch.__version__}", NAM]  # else pip would take the newest PyTorch, with CUDA
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


class Peer:
    """A process that trains when told to."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.state = self._read()

    def turn(self, seconds: float) -> dict[str, Any]:
        """Where it stands after so many more CPU seconds: samples, cpu_seconds and so on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        self.state = self._read()
        return self.state

    def close(self) -> None:
        """End its input, which ends it."""
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):  # what its libraries have to say
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended early; run it by hand to see why")
        state: dict[str, Any] = json.loads(line)
        return state


def ours(settings: dict[str, Any], data: TrainingData, budget: Budget) -> Fit:
    """A `Fit` of ours by the family's own recipe, judged by ESR."""
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).to(DEVICE)
    training = model.spec.recipe(DEVICE == "cuda")
    return Fit(model, data, budget, seed=0, objective="esr", training=training)


def turns_of(fit: Fit) -> Iterator[tuple[int, float]]:
    """Wet samples learned from, and CPU seconds, of each turn."""
    samples, seconds = 0, 0.0
    for report in fit:
        done = report.step * fit.training.batch * fit.training.block_samples
        yield done - samples, report.compute_seconds - seconds
        samples, seconds = done, report.compute_seconds


def print_throughput(data: TrainingData, folder: Path, nam: list[str]) -> None:
    """Samples a CPU second of the same nets; next to nothing is validated."""
    little = data.validation[0]
    brief = data._replace(validation=[little._replace(dry=little.dry[:, :9000], wet=little.wet[:, :9000])])
    write_pair(brief, folder)
    plain = [sys.executable, str(PEERS / "plain_lstm.py"), str(folder)]
    print("\n| net | trained by | wet samples a CPU second | of the peer's |\n|---|---|---|---|")
    for net, settings, commands in (
        ("A1 standard", A1, {f"{NAM}, 16 x 8,192": nam}),
        (
            "LSTM-40",
            LSTM_40,
            {
                "a loop over windows of 150 samples that predict their last": [*plain, "sample"],
                "a loop over half-second windows": [*plain, "segment"],
            },
        ),
    ):
        turns = turns_of(ours(settings, brief, Budget(compute_seconds=TURN_S * TURNS, reports=TURNS)))
        peers = {name: Peer(command) for name, command in commands.items()}
        rates: dict[str, list[float]] = {name: [] for name in ("`Fit`", *peers)}
        for samples, seconds in turns:
            rates["`Fit`"].append(samples / seconds)
            for name, peer in peers.items():
                before = peer.state
                after = peer.turn(TURN_S)
                spent = after["cpu_seconds"] - before["cpu_seconds"]
                rates[name].append((after["samples"] - before["samples"]) / spent)
        for peer in peers.values():
            peer.close()
        for name, found in rates.items():
            ratio = median(our / their for our, their in zip(rates["`Fit`"], found, strict=True))
            print(f"| {net} | {name} | {median(found):,.0f} | {ratio:.1f} |", flush=True)
    write_pair(data, folder)


def print_race(data: TrainingData, nam: list[str], nam_seconds: float) -> None:
    """What neural-amp-modeler reaches on the validation part, and when our nets reach it in a fifth."""
    budget = Budget(compute_seconds=nam_seconds / 5, reports=20)
    peer, fit = Peer(nam), ours(A1, data, budget)
    found: dict[str, list[tuple[float, float]]] = {"`nam_wavenet` a1_standard": []}
    for _ in range(budget.reports):
        peer.turn(nam_seconds / budget.reports)
        report = next(fit)
        found["`nam_wavenet` a1_standard"].append((report.compute_seconds, report.best["esr"]))
    fit = ours(LSTM_40, data, budget)  # only now: its clock is this process's
    found["`lstm` of 40"] = [(report.compute_seconds, report.best["esr"]) for report in fit]
    best = min((esr for _, esr in peer.state["validation"]), default=float("inf"))
    peer.close()
    print(f"\n| | validation ESR | CPU s | CPU s to {NAM}'s ESR |\n|---|---|---|---|")
    print(f"| {NAM}, A1 standard | {best:.2g} | {peer.state['cpu_seconds']:.0f} | |")
    for name, reports in found.items():
        when = next((f"{seconds:.0f}" for seconds, esr in reports if esr <= best), "not reached")
        print(f"| {name} | {reports[-1][1]:.2g} | {reports[-1][0]:.0f} | {when} |", flush=True)


def print_shares_of_the_peak(data: TrainingData) -> None:
    """How much of what a matrix product reaches each family uses, and where its time goes."""
    square = torch.randn(1024, 1024)
    peak = 2 * 1024**3 / _best(lambda: square @ square, 10)
    print(f"matrix product of 1,024 x 1,024: {peak / 1e9:.0f} GFLOP/s\n")
    print("| net | samples a CPU second | GFLOP/s | share of the peak | operations, by time |")
    print("|---|---|---|---|---|")
    for settings in PROFILED:
        fit = ours(settings, data, Budget(steps=10**6, reports=1))
        draw, recipe = fit._train_on_one_draw, fit.training
        fit.model.train()
        samples = recipe.batch * recipe.block_samples * recipe.blocks
        rate = samples / _best(lambda draw=draw: list(draw()), 5)
        flops = 6 * rate * _products(fit.model)  # two forward, four backward for each product
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(max(1, PROFILED_SAMPLES // samples)):
                list(draw())
        events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
        total = sum(event.self_cpu_time_total for event in events)
        operations = ", ".join(
            f"{event.key.removeprefix('aten::')} {event.self_cpu_time_total / total:.0%}"
            for event in events[:SHOWN_OPERATIONS]
        )
        name = " ".join(str(value) for value in settings.values())
        print(f"| {name} | {rate:,.0f} | {flops / 1e9:.1f} | {flops / peak:.0%} | {operations} |", flush=True)


def _products(model: EffectModel) -> int:
    """Multiplications a sample: each weight of a matrix is used once."""
    return sum(p.numel() for p in model.parameters() if p.dim() > 1)


def _best(call: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the quickest of some calls."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    main(sys.argv[1:])
