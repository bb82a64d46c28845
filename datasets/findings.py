"""What is found in an aligned pair: its figures, and in one line each what may be wrong and what to do."""

from typing import Literal, NamedTuple

import numpy as np

from datasets.checks import noise_floor_db
from datasets.dropouts import Dropout, find_dropouts
from datasets.pairs import Pair
from datasets.repeats import Repeat, Repeatability, find_repeats, repeatability
from fxcore.audio import Signal
from fxcore.spec import Spec

MAX_OFFSET_DBFS = -50.0
MAX_NOISE_DB = -60.0
WEAK_CORRELATION = 0.1
SAME_LATENCY_SAMPLES = 32  # estimates of the same gear that differ by less mean the same latency


class PairReport(Spec):
    """What was found in a pair, and done to it; None is what could not be measured."""

    name: str
    latency_samples: int  # removed from the wet; negative: the wet came early
    fine_latency_samples: float | None  # of the best match, sub-sample: it includes the effect's own delay
    polarity: Literal[-1, 1]  # -1: the wet is upside down, and was left so
    correlation: float  # 0..1, see `Alignment`
    gain_db: float  # level of the wet against the dry
    dry_clipped: int  # samples at full scale
    wet_clipped: int
    dropouts: int
    drift_samples: float | None  # of the latency, from the start to the end; 0 where none is certain
    drift_ppm: float | None
    noise_floor_db: float | None  # of the wet where the dry is silent, against the wet's peak
    repeated_seconds: float  # that the dry plays again and `repeatability_esr` is judged by
    warnings: tuple[str, ...] = ()


class Examined(NamedTuple):
    """An aligned pair and what was found in it."""

    dry: Signal
    wet: Signal
    report: PairReport
    repeats: list[Repeat]  # of the dry, at the pair's sample rate
    repeatability: Repeatability


def examine(pair: Pair, common_latency_samples: int) -> Examined:
    """Shift a pair by its latency, or by that of its fellows if it is nearly the same, and look into it."""
    own = pair.alignment.latency_samples
    latency = common_latency_samples if abs(own - common_latency_samples) <= SAME_LATENCY_SAMPLES else own
    dry, wet = pair.aligned(latency)
    dropouts = _dropouts(pair, latency)
    noise_db = noise_floor_db(dry, wet, pair.sample_rate)
    repeats, alike = _repeats(pair, latency)
    warnings = [
        *_file_warnings(pair),
        *_dropout_warnings(pair, dropouts),
        *_latency_warnings(pair),
        *_noise_warnings(noise_db),
    ]
    if latency != common_latency_samples:
        warnings.append(f"its latency is {latency} samples, not {common_latency_samples}")
    report = PairReport(
        name=pair.name,
        latency_samples=latency,
        fine_latency_samples=_rounded(pair.alignment.fine_samples),
        polarity=-1 if pair.alignment.polarity < 0 else 1,
        correlation=round(pair.alignment.correlation, 4),
        gain_db=round(_rms_db(wet) - _rms_db(dry), 2),
        dry_clipped=pair.recorded[0].clipped,
        wet_clipped=pair.recorded[1].clipped,
        dropouts=len(dropouts),
        drift_samples=_rounded(pair.drift and pair.drift.samples * pair.drift.certain),
        drift_ppm=_rounded(pair.drift and pair.drift.ppm * pair.drift.certain),
        noise_floor_db=_rounded(noise_db),
        repeated_seconds=round(alike.seconds, 2),
        warnings=tuple(warnings),
    )
    return Examined(dry, wet, report, repeats, alike)


def _dropouts(pair: Pair, latency_samples: int) -> list[Dropout]:
    """At the wet's own sample rate and times."""
    rate = pair.recorded[1].sample_rate
    cut_s = max(latency_samples, 0) / pair.sample_rate
    found = find_dropouts(*pair.aligned(latency_samples, rate), rate)
    return [dropout._replace(start_s=dropout.start_s + cut_s) for dropout in found]


def _repeats(pair: Pair, latency_samples: int) -> tuple[list[Repeat], Repeatability]:
    """Found at the dry's own sample rate, at which a copy lies a whole number of samples later."""
    rate = pair.recorded[0].sample_rate
    dry, wet = pair.aligned(latency_samples, rate)
    repeats = find_repeats(dry, rate)
    scale = pair.sample_rate / rate
    scaled = [Repeat(*(round(value * scale) for value in repeat)) for repeat in repeats]
    return scaled, repeatability(wet, repeats, rate)


def _file_warnings(pair: Pair) -> list[str]:
    warnings = []
    for label, side in zip(("dry", "wet"), pair.recorded, strict=True):
        name = f"{label} {side.path.name}"
        if side.clipped:
            warnings.append(f"{name}: {side.clipped} clipped samples; record it at a lower level")
        if side.offset_dbfs > MAX_OFFSET_DBFS:
            warnings.append(
                f"{name}: a DC offset of {side.offset_dbfs:.0f} dBFS, which would be learned; take it off"
            )
    return warnings


def _dropout_warnings(pair: Pair, dropouts: list[Dropout]) -> list[str]:
    if not dropouts:
        return []
    count = f"{len(dropouts)} dropouts" if len(dropouts) > 1 else "a dropout"
    return [
        f"wet {pair.recorded[1].path.name}: {count} (silent or held samples in mid-sound), the first at "
        f"{dropouts[0].start_s:.3f} s for {1000 * dropouts[0].seconds:.1f} ms; record it again, unless the "
        "effect cuts so itself"
    ]


def _latency_warnings(pair: Pair) -> list[str]:
    """What a user should know of an alignment."""
    found, drift, jump = pair.alignment, pair.drift, pair.jump
    drifts = drift is not None and drift.certain
    warnings = []
    if found.polarity < 0:
        warnings.append("the wet is upside down against the dry; it is learned as it is")
    if drift is not None and drifts:
        warnings.append(
            f"the latency drifts by {drift.samples:+.1f} samples from the start to the end ({drift.ppm:+.1f} "
            "ppm); record both sides on one clock"
        )
    elif found.by == "onsets":
        warnings.append(
            "the waveforms do not match, as after a pitch shift; the latency is known to 20 ms only: "
            "give --latency-samples if you know it"
        )
    elif found.correlation < WEAK_CORRELATION:
        warnings.append(
            f"the wet hardly resembles the dry (correlation {found.correlation:.2f}); is it noisy?"
        )
    if jump is not None:
        warnings.append(
            f"the latency jumps by {jump.samples:+d} samples between {jump.from_s:.1f} s and "
            f"{jump.to_s:.1f} s, as where a device lost samples; record it again"
        )
    return warnings


def _noise_warnings(noise_db: float | None) -> list[str]:
    if noise_db is None or noise_db <= MAX_NOISE_DB:
        return []
    return [
        f"the wet has noise at {noise_db:.0f} dB of its peak where the dry is silent; lower it below "
        f"{MAX_NOISE_DB:.0f} dB, or it limits every model"
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2) + 0.0  # no -0.0


def _rms_db(signal: Signal) -> float:
    return 10 * float(np.log10(np.mean(signal.astype(np.float64) ** 2) + 1e-30))
