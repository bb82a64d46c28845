"""Plugin: a VST3 plug-in, played by pedalboard in a process of its own, so that it crashes alone.

Plug-ins round what they are told: ZamDelay plays 350 ms as 352.96. `as_played` reads all parameters back.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fxcore.audio import Signal
from fxcore.effects.outside import OutsideEffect
from fxcore.effects.pedalboard_host import load_pedalboard
from fxcore.effects.program import last_line, run_program
from fxcore.errors import EffectError


class Plugin(OutsideEffect):
    """Plays in mono, or where the plug-in cannot, the dry on both channels, of which the left is kept.

    Args:
        path: of the `.vst3` file or folder.
        parameters: by pedalboard's names, which a wrong name lists; the rest stay as the plug-in has them.
        plugin_name: which one, where a file holds several.
    """

    kind: Literal["plugin"] = "plugin"
    path: str
    parameters: dict[str, bool | float | str] = {}
    plugin_name: str | None = None

    @property
    def title(self) -> str:
        return f"plug-in {Path(self.path).name!r}"

    def play(self, dry: Signal, sample_rate: int) -> Signal:
        return self._play(dry, sample_rate)[0]

    def as_played(self, sample_rate: int) -> dict[str, Any]:
        """As set, with the plug-in's version, and all its parameters as it has them."""
        _, played = self._play(np.zeros((1, sample_rate), np.float32), sample_rate)
        return {**super().as_played(sample_rate), **played}

    def _play(self, dry: Signal, sample_rate: int) -> tuple[Signal, dict[str, Any]]:
        path = Path(self.path).expanduser().absolute()
        if not path.exists():
            raise EffectError(
                f"a plug-in must be a .vst3 file or folder; {path} does not exist; correct its path"
            )
        load_pedalboard()  # is it installed?
        with tempfile.TemporaryDirectory(prefix="fxsearch-") as name:
            folder = Path(name)
            job = {
                "path": str(path),
                "plugin_name": self.plugin_name,
                "parameters": self.parameters,
                "sample_rate": sample_rate,
            }
            (folder / "job.json").write_text(json.dumps(job), "utf-8")
            np.save(folder / "dry.npy", dry)
            run_program(
                [sys.executable, "-m", "fxcore.plugin_host", str(folder)],
                self.title,
                folder,
                timeout_seconds=self.timeout_seconds,
            )
            try:
                wet: Signal = np.load(folder / "wet.npy")
                return wet, json.loads((folder / "played.json").read_text("utf-8"))
            except FileNotFoundError:  # some plug-ins end the process themselves
                raise EffectError(f"{self.title} ended before it had played{last_line(folder)}") from None
