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
        dry, wet, sound = _Tally(), _Tally(), []
        for recording in store.stream([entry for entry in entries if entry.name not in lost]):
            dry.add(recording.dry)
            wet.add(recording.wet)
            if split == "train" and manifest.recipe is None:
                sound.append(recording)
        splits[split] = SplitReport(
            recordings=len(entries),
            seconds=manifest.seconds(split),
            dry=dry.levels(),
            wet=wet.levels(),
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


class _Tally:
    """Levels of several signals (1, T) together, taken in one after another."""

    def __init__(self) -> None:
        self._energy, self._samples, self._peak_dbfs = 0.0, 0, -float("inf")

    def add(self, signal: Signal) -> None:
        self._energy += float(np.square(signal, dtype=np.float64).sum())
        self._samples += signal.size
        self._peak_dbfs = max(self._peak_dbfs, peak_dbfs(signal))

    def levels(self) -> Levels:
        if self._energy == 0.0:
            return Levels(peak_dbfs=None, rms_dbfs=None)
        rms_dbfs = 10 * float(np.log10(self._energy / self._samples))
        return Levels(peak_dbfs=round(self._peak_dbfs, 2), rms_dbfs=round(rms_dbfs, 2))
