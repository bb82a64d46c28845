"""What is in a sample store, for people and for machines."""

import numpy as np

from datasets.manifest import SPLITS, Split
from datasets.probes import incoherent_share
from datasets.store import SampleStore
from fxcore.audio import Signal, peak_dbfs
from fxcore.spec import Spec


class Levels(Spec):
    """Of one side of a split, in dB below full scale; None for digital silence."""

    peak_dbfs: float | None
    rms_dbfs: float | None


class SplitReport(Spec):
    """One split."""

    recordings: int
    seconds: float
    dry: Levels
    wet: Levels


class StoreReport(Spec):
    """A store; an ESR floor is None where it is unknown."""

    uri: str
    store_digest: str
    source: str
    created_by: str
    sample_rate: int
    splits: dict[Split, SplitReport]
    shards: int
    verified: bool  # every shard was read against its hash
    problems: tuple[str, ...]  # one line a corrupt shard
    linearity_esr: float | None  # what no time-invariant linear model gets below
    repeatability_esr: float | None  # what no model that is not told the time gets below


def inspect_store(store: SampleStore, verify: bool = False) -> StoreReport:
    """Look into a store; with `verify`, check every shard and leave the corrupt ones out.

    Raises `StoreError` at the first corrupt shard where `verify` is off.
    """
    manifest = store.manifest
    corrupt = store.problems() if verify else {}
    lost = {name for shard in manifest.shards if shard.file in corrupt for name in shard.recordings}
    splits, linearity_esr = {}, manifest.probes.linearity_esr
    for split in SPLITS:
        entries = [entry for entry in manifest.recordings if entry.split == split]
        sound = store.read([entry for entry in entries if entry.name not in lost])
        splits[split] = SplitReport(
            recordings=len(entries),
            seconds=manifest.seconds(split),
            dry=_levels([recording.dry for recording in sound]),
            wet=_levels([recording.wet for recording in sound]),
        )
        if split == "train" and manifest.recipe is None:
            linearity_esr = incoherent_share(sound)
    return StoreReport(
        uri=store.uri,
        store_digest=store.digest,
        source=manifest.source,
        created_by=manifest.created_by,
        sample_rate=manifest.sample_rate,
        splits=splits,
        shards=len(manifest.shards),
        verified=verify,
        problems=tuple(corrupt.values()),
        linearity_esr=linearity_esr,
        repeatability_esr=manifest.probes.repeatability_esr,
    )


def _levels(signals: list[Signal]) -> Levels:
    """Of several signals (1, T) together."""
    energy = sum(float(np.sum(signal.astype(np.float64) ** 2)) for signal in signals)
    samples = sum(signal.size for signal in signals)
    if energy == 0.0:
        return Levels(peak_dbfs=None, rms_dbfs=None)
    return Levels(
        peak_dbfs=round(max(peak_dbfs(signal) for signal in signals), 2),
        rms_dbfs=round(10 * float(np.log10(energy / samples)), 2),
    )
