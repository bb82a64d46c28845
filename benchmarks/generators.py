"""How fast dry signals are rendered on one core, beside the plainest there is: a sine by `np.sin`.

    python benchmarks/generators.py

CPU time for ten seconds at 44.1 kHz, the median over random notes; signals take turns.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fxcore import audio
from fxcore.audio import Signal
from fxcore.generators import GENERATORS
from fxcore.generators.music import excerpt
from fxcore.generators.track import Track

RATE = 44_100
SECONDS = 10
ROUNDS = 25
ENOUGH = 200  # times real time

Render = Callable[[np.random.Generator], Signal]


def main() -> None:
    """Print the table."""
    with TemporaryDirectory() as folder:
        signals = {"`np.sin`": sine, **generators(), **excerpts(Path(folder))}
        seconds = {name: [cpu_seconds(render, 0)] for name, render in signals.items()}  # warms up
        for seed in range(1, ROUNDS):
            for name, render in signals.items():
                seconds[name].append(cpu_seconds(render, seed))
    medians = {name: float(np.median(found[1:])) for name, found in seconds.items()}
    print("| signal | x real time | x 200 | of `np.sin` |\n|---|---|---|---|")
    for name, median in medians.items():
        speed = SECONDS / median
        print(f"| {name} | {speed:.0f} | {speed / ENOUGH:.1f} | {medians['`np.sin`'] / median:.3f} |")


def sine(rng: np.random.Generator) -> Signal:
    """The peer."""
    phase = rng.uniform(0.01, 0.2) * np.arange(SECONDS * RATE)
    return np.sin(phase).astype(np.float32)[None]


def generators() -> dict[str, Render]:
    """Each kind of note, alone and in tracks, and tracks of all kinds."""
    notes = {kind: GENERATORS.parse(kind) for kind in GENERATORS}
    found: dict[str, Render] = {
        kind: partial(note.render, SECONDS * RATE, RATE) for kind, note in notes.items()
    }
    tracks = {f"track of {kind}": Track(segments=1, generators=(note,)) for kind, note in notes.items()}
    tracks["track of all"] = Track(segments=1)
    return found | {name: partial(track.render, RATE) for name, track in tracks.items()}


def excerpts(folder: Path) -> dict[str, Render]:
    """Of music at another sample rate, in several formats."""
    found: dict[str, Render] = {}
    for extension in ("wav", "flac", "mp3"):
        path = folder / f"music.{extension}"
        audio.write(path, Track(segments=6).render(48_000, np.random.default_rng(0)), 48_000)
        found[f"excerpts of {extension}, 48 kHz"] = partial(excerpt, path, SECONDS * RATE, RATE)
    return found


def cpu_seconds(render: Render, seed: int) -> float:
    """Of one rendering."""
    rng = np.random.default_rng(seed)
    start = time.process_time()
    render(rng)
    return time.process_time() - start


if __name__ == "__main__":
    main()
