"""NAM Core, the engine of Neural Amp Modeler's plug-ins, in Node.js."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor

PLAYER = Path(__file__).parents[2] / "engines" / "play_nam.mjs"

NamCore: TypeAlias = Callable[[Path, Tensor], Tensor]


@pytest.fixture(scope="session")
def nam_core(tmp_path_factory: pytest.TempPathFactory) -> NamCore:
    """Plays a dry (1, 1, T) through a .nam file, to (1, 1, T)."""
    node = shutil.which("node")
    assert node, "Node.js is missing; install it, then `make engines`"
    assert (PLAYER.parent / "node_modules").is_dir(), "the engine is missing; run `make engines`"
    folder = tmp_path_factory.mktemp("nam_core")

    def played(path: Path, dry: Tensor) -> Tensor:
        dry[0, 0].numpy().tofile(folder / "dry.f32")
        command = [node, str(PLAYER), str(path), str(folder / "dry.f32"), str(folder / "wet.f32")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return torch.from_numpy(np.fromfile(folder / "wet.f32", np.float32))[None, None]

    return played
