"""Import recorded pairs: check, resample, align and split them into a sample store."""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median_low

import numpy as np

from datasets.findings import Examined, PairReport, examine
from datasets.manifest import SPLITS, Probes, RecordingEntry, Split, StoreManifest
from datasets.pairing import PairPaths, find_pairs
from datasets.pairs import Pair, load_pair
from datasets.probes import incoherent_share
from datasets.repeats import pooled
from datasets.splits import MIN_PAIRS, Span, by_recording, by_time, share_known
from datasets.store import SEGMENT_SAMPLES
from datasets.writing import writing
from fxcore.audio import Recording, check_not_silent
from fxcore.errors import AudioError, PairError

MIN_SECONDS = 10.0  # of a pair that is split by time
MAX_SHARE_KNOWN = 0.1  # of a split held out

Piece = tuple[RecordingEntry, Recording]


class ImportReport(PairReport):
    """What was found in recordings, and done to them; the figures of a pair are those of the first."""

    pairs: tuple[PairReport, ...]  # all, those for testing alone last
    seconds: dict[Split, float]
    linearity_esr: float | None  # what no linear model gets below: the share not coherent with the dry
    repeatability_esr: float | None  # what no model gets below, judged where a dry repeats itself


def import_recordings(
    dry: Path | str,
    wet: Path | str,
    out: str | Path,
    *,
    test: tuple[Path | str, Path | str] | None = None,
    sample_rate: int | None = None,
    latency_samples: int | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Make a sample store at `out` of a dry and a wet recording, or of two folders of them.

    Three pairs and more are split by recording, fewer by time.

    Args:
        test: dry and wet of other pairs through the same gear; the test split is all of them.
        sample_rate: in Hz; the first dry's if None. latency_samples: at that rate; measured if None.

    Raises `AudioError` for a file that cannot be used, `PairError` for two that are no pair, and what
    `writing` raises.
    """
    with writing(out, overwrite=overwrite) as writer:
        paths = find_pairs(dry, wet)
        whole = len(paths) >= MIN_PAIRS
        pairs = _load(paths, sample_rate, latency_samples, 0.0 if whole else MIN_SECONDS)
        rate = pairs[0].sample_rate
        tests = _load(find_pairs(*test), rate, latency_samples, 0.0) if test else []
        common = median_low(pair.alignment.latency_samples for pair in pairs)
        found, found_tests = ([examine(pair, common) for pair in some] for some in (pairs, tests))

        held_out: tuple[Split, ...] = ("validation",) if test else ("validation", "test")
        spans = _split_whole(found, held_out) if whole else _split_by_time(found, rate, held_out)
        warnings = _warnings(found, found_tests, spans, held_out)
        found += found_tests
        spans += [[("test", 0, one.dry.shape[-1])] for one in found_tests]
        pieces = _cut(found, spans)
        _check_splits(pieces)
        for piece in pieces:
            writer.write_shard([piece])
        alike = pooled(one.repeatability for one in found)
        manifest = StoreManifest(
            sample_rate=rate,
            segment_samples=SEGMENT_SAMPLES,
            source=f"recordings {Path(dry).name} and {Path(wet).name}",
            recordings=tuple(entry for entry, _ in pieces),
            shards=tuple(writer.shards),
            probes=Probes(repeatability_esr=alike.esr),
        )
        writer.finish(manifest)
    first = found[0].report.model_dump(exclude={"warnings"})
    return ImportReport(
        **first,
        warnings=warnings,
        pairs=tuple(one.report for one in found),
        seconds={split: manifest.seconds(split) for split in SPLITS},
        linearity_esr=incoherent_share([recording for entry, recording in pieces if entry.split == "train"]),
        repeatability_esr=alike.esr,
    )


def _load(
    paths: Sequence[PairPaths], rate: int | None, latency_samples: int | None, min_seconds: float
) -> list[Pair]:
    """All pairs at the rate of the first."""
    pairs: list[Pair] = []
    for path in paths:
        pairs.append(
            load_pair(path, sample_rate=rate, latency_samples=latency_samples, min_seconds=min_seconds)
        )
        rate = pairs[0].sample_rate
    return pairs


def _split_whole(found: Sequence[Examined], held_out: Sequence[Split]) -> list[list[Span]]:
    lengths = [one.dry.shape[-1] for one in found]
    return [[(split, 0, n)] for split, n in zip(by_recording(lengths, held_out), lengths, strict=True)]


def _split_by_time(found: Sequence[Examined], rate: int, held_out: Sequence[Split]) -> list[list[Span]]:
    return [by_time(one.dry.shape[-1], rate, held_out) for one in found]


def _warnings(
    found: Sequence[Examined],
    found_tests: Sequence[Examined],
    spans: Sequence[Sequence[Span]],
    held_out: Sequence[Split],
) -> tuple[str, ...]:
    """Of all pairs, each with its name where there are several."""
    warnings = []
    for one, here in zip(found, spans, strict=True):
        prefix = f"{one.report.name}: " if len(found) > 1 else ""
        warnings += [prefix + warning for warning in one.report.warnings]
        for split in held_out:
            share = share_known(here, split, one.repeats)
            if share > MAX_SHARE_KNOWN:
                warnings.append(
                    f"{prefix}{share:.0%} of the {split} split repeats what training plays, which flatters "
                    "every model; test on other recordings"
                )
    for one in found_tests:
        prefix = f"test pair {one.report.name}: " if len(found_tests) > 1 else "test pair: "
        warnings += [prefix + warning for warning in one.report.warnings]
    return tuple(warnings)


def _cut(found: Sequence[Examined], spans: Sequence[Sequence[Span]]) -> list[Piece]:
    """The spans of each pair as recordings, numbered within their split, sorted by split."""
    pieces = []
    numbers = dict.fromkeys(SPLITS, 0)
    named = len(found) > 2
    for one, here in zip(found, spans, strict=True):
        for split, start, stop in here:
            name = f"{split}-{numbers[split]}"
            numbers[split] += 1
            entry = RecordingEntry(
                name=f"{name}-{_plain(one.report.name)}" if named else name,
                split=split,
                samples=stop - start,
                start_sample=start,
                latency_samples=one.report.latency_samples,
                polarity=one.report.polarity,
            )
            piece = Recording(entry.name, one.dry[:, start:stop], one.wet[:, start:stop], start)
            pieces.append((entry, piece))
    return sorted(pieces, key=lambda piece: SPLITS.index(piece[0].split))


def _plain(name: str) -> str:
    """A file's stem with nothing but what a recording's name may hold."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-")


def _check_splits(pieces: list[Piece]) -> None:
    """A split in which nothing sounds can neither teach nor judge."""
    for split in SPLITS:
        recordings = [recording for entry, recording in pieces if entry.split == split]
        try:
            for side in ("dry", "wet"):
                whole = np.concatenate([getattr(recording, side) for recording in recordings], axis=1)
                check_not_silent(whole, f"the {side} of what would be the {split} split")
        except AudioError as error:
            raise PairError(f"{error}; or record without long pauses") from None
