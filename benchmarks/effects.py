"""Which model holds which effect: all of them rendered, beside the thesis' nets and a Volterra model.

    python benchmarks/effects.py RESULTS.jsonl                      # all of them: hours
    python benchmarks/effects.py RESULTS.jsonl --effects fuzz --models lstm s4d --seeds 1 2
    python benchmarks/effects.py RESULTS.jsonl --stores stores/amp --models lstm a1_standard
    python benchmarks/effects.py RESULTS.jsonl --table

A trial trains for at most `--seconds` CPU seconds on 180 s of notes; its best weights on the validation track
are judged on the test track, whose notes it never heard. A seed gives other notes in all splits and other
weights. Trials that RESULTS.jsonl holds already are not run again.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from datasets.cache import cached_split
from datasets.recipe import Recipe
from datasets.render import render
from datasets.store import SampleStore
from fxcore.audio import Recording
from fxcore.models import FAMILIES, PRESETS, ModelSpec
from fxcore.training import Budget, Fit, TrainingData, evaluate, measure_cost, to_device
from fxcore.yamlfile import load_yaml

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"
EFFECTS = (
    *("distortion", "fuzz", "compressor", "ampcab", "highpass", "lowpass"),
    *("octave", "octave_at_once", "chorus", "chorus_feedback", "delay", "reverb"),
)
BASELINES = ("hammerstein", "thesis_cnn", "thesis_lstm")
UNPLAYABLE = 0.05  # times real time; such a model is judged once, on one second of one recording


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--effects", nargs="*", default=None)
    parser.add_argument(
        "--stores", nargs="*", type=Path, default=[], help="sample stores, in place of effects"
    )
    parser.add_argument(
        "--models", nargs="*", default=None, help="families, presets, or family:key=value,..."
    )
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.table:
        print_table(_read(asked.results))
        return
    torch.set_num_threads(1)
    if asked.effects is None:
        asked.effects = () if asked.stores else EFFECTS
    known = {(r["effect"], r["model"], r["seed"], r["seconds"]) for r in _read(asked.results)}
    for name, seed, store in datasets_of(asked.effects, asked.stores, asked.seeds):
        for model in asked.models or models_for(name):
            if (name, model, seed, asked.seconds) not in known:
                found = run(model, store, seed, asked.seconds)
                result = {"effect": name, "model": model, "seed": seed, "seconds": asked.seconds, **found}
                print(json.dumps(result), flush=True)
                with asked.results.open("a") as file:
                    file.write(json.dumps(result) + "\n")


def models_for(effect: str) -> Sequence[str]:
    """What is run for an effect unless told otherwise."""
    return (*BASELINES, *BEST.get(effect, ()))


BEST: dict[str, Sequence[str]] = {
    "distortion": ("wiener_hammerstein",),
    "fuzz": ("s4d",),
    "ampcab": ("lstm:tail_taps=1024",),
    "compressor": ("dynamics",),
    "highpass": ("fir:taps=2048",),
    "lowpass": ("fir:taps=2048",),
    "octave": ("pitch_shift:window_samples=2048,tail_samples=512",),
    "octave_at_once": ("pitch_shift",),
    "chorus": ("modulated_delay",),
    "chorus_feedback": ("modulated_delay",),
    "delay": ("feedback_delay", "fir:taps=131072"),
    "reverb": ("fir:taps=131072",),
}


def datasets_of(
    effects: Sequence[str], stores: Sequence[Path], seeds: Sequence[int]
) -> Iterator[tuple[str, int, SampleStore]]:
    """Name, seed and store: each effect rendered for each seed, or the stores as they are."""
    for path in stores:
        for seed in seeds:
            yield path.name, seed, SampleStore.open(path)
    for effect in effects:
        for seed in seeds:
            with TemporaryDirectory() as folder:
                yield effect, seed, render(recipe_of(effect, seed), Path(folder) / effect)


VARIANTS: dict[str, tuple[str, dict[str, float]]] = {
    "chorus_feedback": ("chorus", {"feedback": 0.5}),
    "octave_at_once": ("octave", {"delay_ms": 0.0}),
}


def recipe_of(effect: str, seed: int) -> Recipe:
    """The example's recipe with another seed, or a variant of one."""
    example, changes = VARIANTS.get(effect, (effect, {}))
    recipe = load_yaml(RECIPES / f"{example}.yaml", Recipe)
    return recipe.model_copy(update={"seed": seed, "effect": recipe.effect.model_copy(update=changes)})


def model_of(text: str) -> tuple[ModelSpec, dict[str, Any]]:
    """The model of a preset, a family, or `family:key=value,...`; and keys that its training takes."""
    if text in PRESETS:
        return PRESETS[text], {}
    family, _, settings = text.partition(":")
    values = {key: json.loads(value) for key, value in (s.split("=") for s in settings.split(",") if s)}
    own = {key: value for key, value in values.items() if key in FAMILIES[family].model_fields}
    return FAMILIES.parse({"kind": family, **own}), {k: v for k, v in values.items() if k not in own}


def run(text: str, store: SampleStore, seed: int, seconds: float) -> dict[str, float]:
    """Train, and judge the best weights on the test split."""
    spec, changes = model_of(text)
    sample_rate = store.manifest.sample_rate
    model = spec.build(torch.Generator().manual_seed(seed))
    cost = measure_cost(model, sample_rate)
    held_out: list[Sequence[Recording]] = [cached_split(store, "validation"), cached_split(store, "test")]
    budget = Budget(compute_seconds=seconds)
    if cost.realtime_factor < UNPLAYABLE:
        held_out = [excerpt(recordings, sample_rate) for recordings in held_out]
        budget = Budget(compute_seconds=seconds, reports=1)
    data = TrainingData(cached_split(store, "train"), held_out[0], sample_rate)
    training = spec.training.model_copy(update=changes)
    fit = Fit(model, data, budget, seed=seed, training=training)
    for report in fit:
        last = report
    model.load_state_dict(fit.best_weights)
    metrics = evaluate(model, to_device(held_out[1]), sample_rate)
    return {
        "esr": metrics["esr"],
        "share": metrics["log_mel_share"],
        "mr_stft": metrics["mr_stft"],
        "validation_esr": last.best["esr"],
        "compute_seconds": last.compute_seconds,
        "parameters": cost.parameters,
        "realtime_factor": cost.realtime_factor,
    }


def excerpt(recordings: Sequence[Recording], sample_rate: int) -> list[Recording]:
    """A second of the first, from where it sounds."""
    one = recordings[0]
    start = max(int(np.argmax(np.abs(one.dry[0]) > 0.01)) - sample_rate // 10, 0)
    span = slice(start, start + sample_rate)
    return [Recording(one.name, one.dry[:, span], one.wet[:, span], one.start_sample + start)]


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """A line for each effect and model: median over seeds, and the worst."""
    groups: dict[tuple[str, str, float], list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        groups[result["effect"], result["model"], result["seconds"]].append(result)
    print("| effect | model | seeds | test ESR (worst) | log-mel share (worst) | CPU s | x real time |")
    print("|---|---|---|---|---|---|---|")
    for (effect, model, _), found in groups.items():
        esr, share, cpu, speed = (
            np.array([r[key] for r in found])
            for key in ("esr", "share", "compute_seconds", "realtime_factor")
        )
        print(
            f"| {effect} | {model} | {len(found)} | {np.median(esr):.1e} ({esr.max():.1e}) | "
            f"{np.median(share):.3f} ({share.max():.3f}) | {np.median(cpu):.0f} | {np.median(speed):.1f} |"
        )


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
