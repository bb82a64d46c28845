"""Plays one plug-in: `python -m fxcore.plugin_host FOLDER`, the process that `effects.plugin` starts.

It lies here, and imports little, to start in a fifth of a second. FOLDER holds `job.json` and `dry.npy`;
`wet.npy` and `played.json` are added, or a line on stderr says why not.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from fxcore.errors import EffectError, did_you_mean

BLOCK_SAMPLES = 512  # usual in a studio: some plug-ins move their controls once a block


def play(folder: Path) -> None:
    """Load, set, play and read back, as the job says."""
    import numpy as np
    import pedalboard

    job = json.loads((folder / "job.json").read_text("utf-8"))
    plugin = pedalboard.load_plugin(job["path"], plugin_name=job["plugin_name"])
    set_parameters(plugin, job["parameters"])
    played = {
        "name": plugin.name,
        "version": plugin.version,
        "parameters": {key: known.type(getattr(plugin, key)) for key, known in plugin.parameters.items()},
    }
    dry = np.load(folder / "dry.npy")
    try:
        wet = plugin(dry, job["sample_rate"], buffer_size=BLOCK_SAMPLES)
    except ValueError:  # no mono
        wet = plugin(np.repeat(dry, 2, axis=0), job["sample_rate"], buffer_size=BLOCK_SAMPLES)
    np.save(folder / "wet.npy", wet[:1])
    (folder / "played.json").write_text(json.dumps(played), "utf-8")


def set_parameters(plugin: Any, parameters: dict[str, bool | float | str]) -> None:
    """In the order given; pedalboard would take a name that it does not know without a word."""
    for key, value in parameters.items():
        if key not in plugin.parameters:
            raise EffectError(f"unknown parameter '{key}'{did_you_mean(key, plugin.parameters)}")
        setattr(plugin, key, value)


def main(folder: Path) -> int:
    """The exit status; an error takes one line."""
    try:
        play(folder)
    except (EffectError, ImportError, RuntimeError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main(Path(sys.argv[1])))  # at once: some plug-ins crash, and most talk, as they are unloaded
