"""Import a recorded pair: check, resample, align and split it into a sample store.

Split by time: three validation blocks spread evenly over the recording, and three test blocks where no
other recording is given for that, with a guard dropped at every border so that no split hears another's tail.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.manifest import SPLITS, RecordingEntry, Split, StoreManifest
from datasets.store import SEGMENT_SAMPLES
from datasets.writing import writing
from fxcore.alignment import Alignment, align, overlap
from fxcore.audio import Recording, Signal, check_not_silent, count_clipped, read, resample
from fxcore.errors import AudioError, PairError
from fxcore.spec import Spec

MIN_SECONDS = 10.0
MAX_DIFFERENCE_S = 1.0  # between the lengths of dry and wet
BLOCKS = 3
BLOCK_SHARE = 0.04  # of the recording: three make 12 %
GUARD_S = 0.5
SAME_LATENCY_SAMPLES = 32  # estimates of the same gear that differ by less mean the same latency
WEAK_CORRELATION = 0.1


class ImportReport(Spec):
    """What was found in a pair, and done to it."""

    latency_samples: int  # removed from the wet; negative: the wet came early
    polarity: int  # -1: the wet is upside down, and was left so
    correlation: float  # 0..1, see `Alignment`
    gain_db: float  # level of the wet against the dry
    dry_clipped: int  # samples at full scale
    wet_clipped: int
    seconds: dict[Split, float]
    warnings: tuple[str, ...] = ()


class _Pair(NamedTuple):
    """A checked pair at one sample rate, cut to its common part."""

    dry: Signal
    wet: Signal
    alignment: Alignment
    clipped: tuple[int, int]
    warnings: tuple[str, ...]


def import_pair(
    dry_path: Path | str,
    wet_path: Path | str,
    out: str | Path,
    *,
    test: tuple[Path, Path] | None = None,
    sample_rate: int | None = None,
    latency_samples: int | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Make a sample store at `out` of a dry and a wet recording of any rate, format and channels.

    Args:
        test: dry and wet of another pair through the same gear; the test split is all of it.
        sample_rate: in Hz; the dry's if None. latency_samples: at that rate; measured if None.

    Raises `AudioError` for a file that cannot be used, `PairError` for two that are no pair, and what
    `writing` raises.
    """
    with writing(out, overwrite=overwrite) as writer:
        pair, rate = _load(Path(dry_path), Path(wet_path), sample_rate, latency_samples)
        pieces = _cut(pair, rate, ("validation",) if test else ("validation", "test"))
        warnings = pair.warnings
        if test:
            other, _ = _load(Path(test[0]), Path(test[1]), rate, latency_samples, like=pair.alignment)
            entry = RecordingEntry(name="test-0", split="test", samples=other.dry.shape[-1])
            pieces.append((_aligned(entry, other), Recording(entry.name, other.dry, other.wet)))
            warnings += tuple(f"test pair: {warning}" for warning in other.warnings)
        _check_splits(pieces)
        for piece in pieces:
            writer.write_shard([piece])
        manifest = StoreManifest(
            sample_rate=rate,
            segment_samples=SEGMENT_SAMPLES,
            source=f"recordings {Path(dry_path).name} and {Path(wet_path).name}",
            recordings=tuple(entry for entry, _ in pieces),
            shards=tuple(writer.shards),
        )
        writer.finish(manifest)
    return ImportReport(
        latency_samples=pair.alignment.latency_samples,
        polarity=pair.alignment.polarity,
        correlation=round(pair.alignment.correlation, 4),
        gain_db=round(_rms_db(pair.wet) - _rms_db(pair.dry), 2),
        dry_clipped=pair.clipped[0],
        wet_clipped=pair.clipped[1],
        seconds={split: manifest.seconds(split) for split in SPLITS},
        warnings=warnings,
    )


def _load(
    dry_path: Path, wet_path: Path, rate: int | None, latency: int | None, like: Alignment | None = None
) -> tuple[_Pair, int]:
    """Read, check, resample and align; `like` is the alignment of another pair through the same gear."""
    (dry, dry_rate), (wet, wet_rate) = read(dry_path), read(wet_path)
    rate = rate or dry_rate
    clipped = count_clipped(dry), count_clipped(wet)
    warnings = [
        f"{path.name}: {n} clipped samples; record it at a lower level"
        for path, n in ((dry_path, clipped[0]), (wet_path, clipped[1]))
        if n
    ]
    dry, wet = (
        resample(side.mean(axis=0, keepdims=True, dtype=np.float32), from_rate, rate)
        for side, from_rate in ((dry, dry_rate), (wet, wet_rate))
    )
    check_not_silent(dry, str(dry_path))
    check_not_silent(wet, str(wet_path))
    _check_lengths(dry, wet, rate, 0.0 if like else MIN_SECONDS)
    found = align(dry, wet, rate) if latency is None else _given(dry, wet, latency)
    if like and abs(found.latency_samples - like.latency_samples) <= SAME_LATENCY_SAMPLES:
        found = found._replace(latency_samples=like.latency_samples)
    elif like:
        warnings.append(f"its latency is {found.latency_samples} samples, not {like.latency_samples}")
    dry, wet = overlap(dry, wet, found.latency_samples)
    return _Pair(dry, wet, found, clipped, (*warnings, *_remarks(found))), rate


def _check_lengths(dry: Signal, wet: Signal, rate: int, min_s: float) -> None:
    dry_s, wet_s = dry.shape[-1] / rate, wet.shape[-1] / rate
    if abs(dry_s - wet_s) > MAX_DIFFERENCE_S:
        raise PairError(
            f"dry and wet must be of one length, give or take {MAX_DIFFERENCE_S:g} s; got {dry_s:.2f} s and "
            f"{wet_s:.2f} s; export both from the same start to the same end"
        )
    if min(dry_s, wet_s) < min_s:
        raise PairError(
            f"a pair must last {min_s:g} s to be split; got {min(dry_s, wet_s):.2f} s; record more"
        )


def _given(dry: Signal, wet: Signal, latency_samples: int) -> Alignment:
    """The user's own latency: nothing is measured but how the waveforms agree there."""
    if abs(latency_samples) > dry.shape[-1] // 2:
        raise PairError(f"a latency must be shorter than half the recording; got {latency_samples} samples")
    a, b = overlap(dry, wet, latency_samples)
    product = float(np.vdot(a, b)) / (float(np.linalg.norm(a) * np.linalg.norm(b)) + 1e-30)
    return Alignment(latency_samples, -1 if product < 0 else 1, min(abs(product), 1.0), "waveform")


def _remarks(found: Alignment) -> list[str]:
    """What a user should know of an alignment."""
    remarks = []
    if found.polarity < 0:
        remarks.append("the wet is upside down against the dry; it is learned as it is")
    if found.by == "onsets":
        remarks.append(
            "the waveforms do not match, as after a pitch shift; the latency is known to 20 ms only: "
            "give --latency-samples if you know it"
        )
    elif found.correlation < WEAK_CORRELATION:
        remarks.append(
            f"the wet hardly resembles the dry (correlation {found.correlation:.2f}); is it noisy?"
        )
    return remarks


def _cut(pair: _Pair, rate: int, held_out: tuple[Split, ...]) -> list[tuple[RecordingEntry, Recording]]:
    """Cut out blocks for the splits held out, in turn and evenly spread; the rest is for training."""
    total = pair.dry.shape[-1]
    blocks = BLOCKS * len(held_out)
    guard = round(min(GUARD_S * rate, total / 60))  # below 30 s, half a second would eat the training split
    spans: list[tuple[Split, int, int]] = []
    start = 0
    for block in range(blocks):
        length = round(BLOCK_SHARE * total)
        first = round((block + 0.5) * total / blocks) - length // 2
        spans += [("train", start, first - guard), (held_out[block % len(held_out)], first, first + length)]
        start = first + length + guard
    spans.append(("train", start, total))
    pieces = []
    numbers = dict.fromkeys(SPLITS, 0)
    for split, start, stop in spans:
        entry = RecordingEntry(
            name=f"{split}-{numbers[split]}", split=split, samples=stop - start, start_sample=start
        )
        numbers[split] += 1
        recording = Recording(entry.name, pair.dry[:, start:stop], pair.wet[:, start:stop])
        pieces.append((_aligned(entry, pair), recording))
    return sorted(pieces, key=lambda piece: SPLITS.index(piece[0].split))


def _aligned(entry: RecordingEntry, pair: _Pair) -> RecordingEntry:
    found = pair.alignment
    return entry.model_copy(update={"latency_samples": found.latency_samples, "polarity": found.polarity})


def _check_splits(pieces: list[tuple[RecordingEntry, Recording]]) -> None:
    """A split in which nothing sounds can neither teach nor judge."""
    for split in SPLITS:
        recordings = [recording for entry, recording in pieces if entry.split == split]
        try:
            for side in ("dry", "wet"):
                whole = np.concatenate([getattr(recording, side) for recording in recordings], axis=1)
                check_not_silent(whole, f"the {side} of what would be the {split} split")
        except AudioError as error:
            raise PairError(f"{error}; or record without long pauses") from None


def _rms_db(signal: Signal) -> float:
    return 10 * float(np.log10(np.mean(signal.astype(np.float64) ** 2) + 1e-30))
