"""How fast a trial's model plays in the engine of an export: measured once, then kept in the search's folder.

So the same trial gives the same bytes, and the board does not measure again. NAM Core is measured where
Node.js and its package are there (`make web` or `make engines`); elsewhere it is predicted.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from fxcore.errors import FxError
from fxcore.export import FORMATS, Playable
from fxcore.export.cost import check_engine, nam_realtime_factor, realtime_factor
from fxcore.files import write_bytes

FILE = "speeds.json"  # by trial and engine, times real time
ENGINES = ("nam", "onnx")  # of the formats of the same names
PACKAGE = "node_modules/@opendaw/nam-wasm"
INSTALLED = [Path(__file__).parents[1] / folder / PACKAGE for folder in ("web", "tests/engines")]


def nam_core() -> Path | None:
    """The folder of NAM Core's npm package; None where that or Node.js is missing."""
    found = next((folder for folder in INSTALLED if folder.is_dir()), None)
    return found if shutil.which("node") else None


def speed(playable: Playable, engine: str, folder: Path) -> float | None:
    """Times real time of a trial's model in an engine, measured or else predicted; None where it cannot."""
    check_engine(engine)
    found = measured(playable, engine, folder)
    if found is None and engine == "nam":
        return nam_realtime_factor(playable.model, playable.sample_rate)
    return found


def measured(playable: Playable, engine: str, folder: Path) -> float | None:
    """As it was measured, or is now and kept in `folder`; None where the engine cannot, or is not here."""
    if FORMATS[engine].refusal(playable.model) is not None:
        return None
    trial, path = str(playable.facts["trial"]), folder / FILE
    known: dict[str, dict[str, float]] = {}
    with suppress(OSError, ValueError):
        known = json.loads(path.read_text())
    kept = known.setdefault(trial, {})
    if engine not in kept:
        core = nam_core()
        factor = None if engine == "nam" and core is None else realtime_factor(playable, engine, core)
        if factor is None:
            return None
        kept[engine] = round(factor, 2)
        with suppress(FxError):  # where it cannot be kept, it is known to us at least
            write_bytes(path, json.dumps(known, sort_keys=True).encode())
    return kept[engine]


def with_speed(playable: Playable, kind: str, stream: float | None, folder: Path) -> Playable:
    """A trial's model that knows its speeds, for its file in format `kind`.

    `stream` is that of our own player, as the trial measured it.
    """
    found = {"stream": stream}
    if kind in ENGINES:
        found[kind] = measured(playable, kind, folder)
    if kind == "nam":
        found["nam_predicted"] = nam_realtime_factor(playable.model, playable.sample_rate)
    told = {name: round(factor, 2) for name, factor in found.items() if factor is not None}
    return playable._replace(facts={**playable.facts, "realtime_factor": told})
