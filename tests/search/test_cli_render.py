"""`fxsearch render`: interrupted by Ctrl-C in a terminal, it goes on where it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RECIPE = """\
seed: 1
effect: distortion
track: {segments: 2}
splits: {train: 22}
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "search.cli",
        "render",
        "recipe.yaml",
        "--out",
        "./store",
        "--workers",
        "2",
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives it
    )


def shards(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("**/*.parquet")}


def test_ctrl_c_stops_a_render_that_the_same_command_finishes(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    process = start(tmp_path)
    deadline = time.monotonic() + 60
    while len(shards(tmp_path)) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == "interrupted; the same command goes on where it stopped\n"
    assert err == ""
    kept = shards(tmp_path)
    assert 3 <= len(kept) < 24
    assert not (tmp_path / "store").exists()
    process = start(tmp_path)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "distortion" in out
    assert kept < shards(tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "store"]
