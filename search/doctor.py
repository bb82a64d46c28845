"""What this machine has for a search."""

import importlib.metadata
import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "ray", "optuna", "pyarrow", "pedalboard")


def examine(root: Path) -> dict[str, Any]:
    """Facts by name; None where a thing is not there."""
    there = root
    while not there.exists():
        there = there.parent
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": ", ".join(gpus) or None,
        **{name: _version(name) for name in PACKAGES},
        "node": shutil.which("node"),
        "storage": str(root),
        "free_disk_gib": round(shutil.disk_usage(there).free / 2**30, 1),
    }


def _version(package: str) -> str | None:
    return importlib.metadata.version(package) if find_spec(package) else None
