"""`fxsearch render`: interrupted by Ctrl-C in a terminal, it goes on where it stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RECIPE = """\
seed: 1
effect: distortion
track: {segments: 2}
splits: {train: 22}
"""
COMMAND = ["render", "recipe.yaml", "--out", "./store", "--workers", "2"]


def heed_interrupts() -> None:
    """As in a terminal: what a script runs in the background is deaf to Ctrl-C, and so would we be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def render(folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """The command, in a process group of its own, as a shell gives it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "search.cli", *COMMAND],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def shards(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("**/*.parquet")}


def has_begun(folder: Path) -> bool:
    """The processes that render are just starting."""
    return any(folder.glob(".store.part-*"))


def has_three_shards(folder: Path) -> bool:
    return len(shards(folder)) >= 3


@pytest.mark.parametrize("ready", [pytest.param(has_begun, marks=pytest.mark.slow), has_three_shards])
def test_ctrl_c_stops_a_render_that_the_same_command_finishes(
    tmp_path: Path, ready: Callable[[Path], bool]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with render(tmp_path) as process:
        deadline = time.monotonic() + 120
        while not ready(tmp_path):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    assert out == "interrupted; the same command goes on where it stopped\n"
    kept = shards(tmp_path)
    assert len(kept) < 22
    assert not (tmp_path / "store").exists()
    with render(tmp_path) as process:
        out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, "")
    assert "distortion" in out
    assert kept < shards(tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "store"]
