"""What a leaderboard is read against: the dry signal as it is, and what no model can beat.

Both belong to the data, not to a search: the dry's distance is measured once for a store and kept beside its
decoded splits.
"""

import json
from contextlib import suppress
from typing import NamedTuple

from datasets.cache import cache_root, cached_split
from datasets.manifest import Split
from datasets.store import SampleStore
from fxcore.audio import Recording
from fxcore.errors import FxError
from fxcore.files import write_bytes
from fxcore.metrics import METRICS, measure
from fxcore.training import to_device
from fxcore.training.evaluate import settle_samples

SHOWN_METRICS = ("log_mel_share", "mr_stft", "esr")  # of trials, after their search's objective
BASELINES = ("hammerstein",)  # families that a search is to beat: the class of model that McCool (2018) names


class Reference(NamedTuple):
    """A marked row: a name, and the metrics that are known of it."""

    name: str
    metrics: dict[str, float]


def references(store: SampleStore, split: Split = "validation") -> list[Reference]:
    """The dry signal, and the repeatability floor where the store knows one."""
    found = [Reference("dry signal", dry_metrics(store, split))]
    floor = store.manifest.probes.repeatability_esr
    if floor is not None:
        found.append(Reference("repeatability floor", {"esr": floor}))
    return found


def dry_metrics(store: SampleStore, split: Split) -> dict[str, float]:
    """The metrics of a model that does nothing, on what of a split is judged."""
    path = cache_root() / store.digest / f"dry-{split}.json"
    with suppress(OSError, ValueError):
        known: dict[str, float] = json.loads(path.read_text())
        if set(known) == set(METRICS):
            return known
    metrics = measure(
        ((pair.dry, pair.wet, pair.dry) for pair in to_device(judged(cached_split(store, split)))),
        store.manifest.sample_rate,
    )
    with suppress(FxError):  # a full disk: it is measured again
        write_bytes(path, json.dumps(metrics).encode())
    return metrics


def judged(recordings: list[Recording]) -> list[Recording]:
    """The part of each recording that `evaluate` judges: a model has settled by then."""
    return [
        Recording(r.name, r.dry[:, settle:], r.wet[:, settle:], r.start_sample + settle)
        for r in recordings
        for settle in [settle_samples(r.dry.shape[-1], r.start_sample)]
    ]
