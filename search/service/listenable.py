"""What a page plays of a search: an excerpt of the test split, dry, wet, and through its models."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from fxcore.audio import Signal
from search.excerpt import Excerpt, find_excerpt, flac, matched, playing_gain
from search.listening import anchor
from search.references import judged
from search.searches import Search
from search.service.problems import UnknownError
from search.sounds import Loop, loops
from search.storage import Storage

RUN_UP_SECONDS = 10.0  # of dry before the excerpt: by then a model has heard all it remembers
HEADROOM = 0.7  # of full scale, for models that overshoot


class Material(NamedTuple):
    """An excerpt with its run-up, at `sample_rate` Hz."""

    dry: Signal  # (1, run-up + T)
    wet: Signal  # (1, T)
    start_sample: int
    sample_rate: int

    @property
    def heard(self) -> Signal:
        """The dry without its run-up."""
        return self.dry[:, -self.wet.shape[-1] :]


@lru_cache(maxsize=8)
def material(folder: Path, name: str) -> Material:
    """Of the search `name` in `folder`; its data never changes."""
    search = Search(name, Storage(folder.parents[1]))
    rate, split = search.sample_rate, list(search.recordings("test"))
    parts = judged(split)
    excerpt: Excerpt = find_excerpt(parts, rate)
    recording = parts[excerpt.recording]
    start = max(0, excerpt.start - round(RUN_UP_SECONDS * rate))
    dry = np.array(recording.dry[:, start : excerpt.stop])
    wet = np.array(recording.wet[:, excerpt.start : excerpt.stop])
    return Material(dry, wet, recording.start_sample + start, rate)


def sound(search: Search, key: str) -> bytes:
    """`dry`, `wet`, `anchor` or `trial-N` as FLAC, as loud as the wet; or `input`, the dry as it is.

    Raises `UnknownError` for a trial without a model.
    """
    version = 0
    if key.startswith("trial-"):
        path = search.checkpoint(int(key.removeprefix("trial-")))
        if not path.exists():
            raise UnknownError(f"{key} of '{search.name}' has no model to listen to")
        version = path.stat().st_mtime_ns
    return _sound(search.folder, search.name, key, version)


def around(search: Search) -> list[Loop]:
    """The loops of a listening test."""
    found = material(search.folder, search.name)
    return loops(found.wet, found.sample_rate)


@lru_cache(maxsize=128)
def _sound(folder: Path, name: str, key: str, _version: int) -> bytes:
    found = material(folder, name)
    rate, wet = found.sample_rate, found.wet
    if key == "input":
        return flac(np.clip(found.heard, -1.0, 1.0), rate)
    if key == "dry":
        signal = found.heard
    elif key == "wet":
        signal = wet
    elif key == "anchor":
        signal = anchor(wet, rate)
    else:
        model = Search(name, Storage(folder.parents[1])).playable(int(key.removeprefix("trial-"))).model
        pred: Signal = model.predict(torch.as_tensor(found.dry)[None], found.start_sample)[0].numpy()
        signal = pred[:, -wet.shape[-1] :]
    gain = playing_gain([matched(found.heard, wet, rate), wet]) * HEADROOM
    loud = np.float32(gain) * matched(signal, wet, rate)
    return flac(np.clip(loud, -1.0, 1.0), rate)
