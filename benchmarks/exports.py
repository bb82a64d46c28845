"""How near each exported file is to its model, how large it is, and how fast its engine plays it.

    make engines                   # NAM Core, for the .nam files
    python benchmarks/exports.py

Fresh models of the default settings, at 48 kHz. Speed: 64-sample blocks, one thread, in times real time by
processor time; ours, ONNX Runtime's, PyTorch's, and NAM Core's (in Node.js) beside what `fxcore.export.cost`
predicts.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch

from fxcore.errors import FxError
from fxcore.export import FORMATS, Exporter, Playable, export, formats_for
from fxcore.export.cost import in_nam_core, nam_realtime_factor
from fxcore.export.probe import difference
from fxcore.models import FAMILIES
from fxcore.training.cost import measure_cost

RATE = 48_000
NAM_CORE = Path(__file__).parents[1] / "tests" / "engines" / "node_modules" / "@opendaw" / "nam-wasm"
MODELS: list[dict[str, Any]] = [
    *({"kind": family} for family in FAMILIES if family != "fir"),
    {"kind": "fir", "taps": 2_048},
    {"kind": "conv", "layers": 9},
    {"kind": "lstm", "hidden": 40, "skip": True},
    {"kind": "modulated_delay", "loop_taps": 0},
    {"kind": "nam_wavenet", "size": "a1_standard"},
    {"kind": "nam_wavenet", "size": "a2_lite"},
    {"kind": "lstm", "output": {"kind": "mixture", "bits": 16}},
]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| model | format | kB | differs by | x real time | predicted |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for settings in MODELS:
            for kind in formats_for(playable_of(settings).model):
                print(row(settings, kind, Path(folder)), flush=True)


def playable_of(settings: dict[str, Any]) -> Playable:
    """A fresh model."""
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    model.set_scale(0.1, 0.3)
    return Playable(model, RATE, {})


def row(settings: dict[str, Any], kind: str, folder: Path) -> str:
    """One line of the table."""
    playable, format_ = playable_of(settings), FORMATS[kind]
    try:
        path = export(playable, kind, folder / f"model{format_.extension}", overwrite=True)
    except FxError as error:
        return f"| {name_of(settings)} | {kind} | refused: {error} | | | |"
    copy = format_.decode(path).model
    found, _ = difference(format_.promised(playable.model), copy, RATE, format_.tolerance)
    speed = {"nam": nam_core, "onnx": played, "safetensors": played, "torchscript": played}.get(kind)
    predicted = nam_realtime_factor(playable.model, RATE) if kind == "nam" else None
    numbers = (speed(path, format_) if speed else None, predicted)
    cells = [
        "" if number is None else f"{number:.1f}" if number >= 1 else f"{number:.2g}" for number in numbers
    ]
    size = f"{path.stat().st_size / 1e3:.1f}"
    return f"| {name_of(settings)} | {kind} | {size} | {found:.0e} | {cells[0]} | {cells[1]} |"


def name_of(settings: dict[str, Any]) -> str:
    """Its settings, for people."""
    words = [str(settings["kind"])]
    for key, value in settings.items():
        if key != "kind":
            words.append(f"{key}={'-'.join(map(str, value.values())) if isinstance(value, dict) else value}")
    return " ".join(words)


def played(path: Path, format_: Exporter) -> float:
    """Speed of the engine that our reader plays the file with."""
    return measure_cost(format_.decode(path).model, RATE).realtime_factor


def nam_core(path: Path, _: Exporter) -> float:
    """Speed of NAM Core, in Node.js."""
    return in_nam_core(path, NAM_CORE)


if __name__ == "__main__":
    main()
