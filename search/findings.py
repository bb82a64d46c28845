"""What a search has found: its record, and its best trials judged on the test split.

The verdict is the criterion of McCool (2018): a model succeeds where its output is nearer to the wet
than the dry is, which is to say than a model that does nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datasets.manifest import StoreManifest
from fxcore.audio import Recording, Signal
from fxcore.effects import EFFECTS
from fxcore.errors import FxError, SearchError
from fxcore.metrics import measure
from fxcore.models import EffectModel
from fxcore.training import Report
from fxcore.training.evaluate import settle_samples
from search.config import SearchSpec
from search.importance import Shares, importances
from search.references import Reference, references
from search.searches import Search
from search.study import WITHOUT_MODEL, TrialRow
from search.sweep import Response, measure_response
from search.trusted import runs_programs

TITLES = {
    "mr_stft": "MR-STFT",
    "esr": "ESR",
    "esr_pre": "ESR, pre-emphasised",
    "log_mel": "log-mel distance",
    "log_mel_share": "log-mel share",
    "level_difference": "level difference",
}
JUDGES = ("log_mel", "esr", "mr_stft")  # what the verdict goes by
SHORTEST_STRETCH_SECONDS = 0.1
MOST_STRETCHES = 240
SILENCE_DB = -50.0  # below the loudest stretch, where a ratio of energies says nothing


class Judged(NamedTuple):
    """A trial on the test split: metrics, the pred (1, T) of each recording, the response to a sweep."""

    row: TrialRow
    metrics: dict[str, float]
    preds: list[Signal]
    response: Response


class Findings(NamedTuple):
    """All that a report tells."""

    spec: SearchSpec
    store: StoreManifest
    rows: list[TrialRow]  # best first
    references: list[Reference]  # marked rows of the board
    reports: dict[int, list[Report]]  # of each trial
    recordings: list[Recording]  # the test split, as far as it is judged
    dry_metrics: dict[str, float]  # of a model that does nothing
    best: list[Judged]
    sweep_amplitude: float
    wet_response: Response | None  # of the gear itself, where it can be played
    importances: dict[str, Shares]  # of settings, by family


def gather(search: Search, top: int) -> Findings:
    """Judge the best `top` trials on the test split; raises `SearchError` where none has a model."""
    search.best()  # raises, and says why, where there is nothing to tell
    split, rows = search.recordings("test"), search.trials()
    amplitude = _amplitude(split)
    best: list[Judged] = []
    for row in rows:
        if len(best) == top or not row.metrics:
            break
        try:
            model = search.playable(row.id).model
        except SearchError:  # it has no checkpoint any more
            continue
        if row.state not in WITHOUT_MODEL:
            preds = [_settled(model.predict(_tensor(r.dry), r.start_sample)[0].numpy(), r) for r in split]
            response = measure_response(_player(model), search.sample_rate, amplitude)
            best.append(Judged(row, search.test_metrics(row.id), preds, response))
    manifest = search.store().manifest
    recordings = [Recording(r.name, _settled(r.dry, r), _settled(r.wet, r)) for r in split]
    dry_as_pred = ((_tensor(r.dry), _tensor(r.wet), _tensor(r.dry)) for r in recordings)
    return Findings(
        spec=search.spec,
        store=manifest,
        rows=rows,
        references=references(search.store()),
        reports={row.id: search.study.reports(row.id) for row in rows},
        recordings=recordings,
        dry_metrics=measure(dry_as_pred, search.sample_rate),
        best=best,
        sweep_amplitude=amplitude,
        wet_response=_wet_response(manifest, amplitude),
        importances=importances(
            search.study.drawn(), {row.id: row.metrics.get(search.spec.objective, 0.0) for row in rows}
        ),
    )


def esr_over_time(
    wets: Sequence[Signal], preds: Sequence[Signal], sample_rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Middle (s) and ESR of each stretch of recordings laid end to end; NaN where the wet is silent."""
    wet, pred = (np.concatenate(signals, axis=-1)[0].astype(np.float64) for signals in (wets, preds))
    stretch = max(round(SHORTEST_STRETCH_SECONDS * sample_rate), -(-len(wet) // MOST_STRETCHES))
    starts = np.arange(0, len(wet), stretch)
    wet_energy = np.add.reduceat(wet**2, starts)
    error_energy = np.add.reduceat((wet - pred) ** 2, starts)
    audible = wet_energy > wet_energy.max() * 10 ** (SILENCE_DB / 10)
    esr = np.full(len(starts), np.nan)
    np.divide(error_energy, wet_energy, out=esr, where=audible)
    return (starts + stretch / 2) / sample_rate, esr


def nearer(dry: Mapping[str, float], model: Mapping[str, float]) -> dict[str, float]:
    """How many times nearer to the wet the model is than the dry, by each of the judges."""
    return {name: dry[name] / max(model[name], 1e-9) for name in JUDGES}


def verdict(trial: int, factors: Mapping[str, float]) -> str:
    """One sentence.

    >>> verdict(3, {"esr": 12.3, "mr_stft": 0.8})
    'Partly: trial 3 is nearer to the wet than the dry is, 12 times by ESR, but not by MR-STFT (0.80 times).'
    """
    passed = [f"{times(factor)} times by {TITLES[name]}" for name, factor in factors.items() if factor > 1]
    missed = [f"by {TITLES[name]} ({times(factor)} times)" for name, factor in factors.items() if factor <= 1]
    if not passed:
        return f"No: trial {trial} is no nearer to the wet than the dry is, neither {_listed(missed, 'nor')}."
    start = f"trial {trial} is nearer to the wet than the dry is, "
    if not missed:
        return f"Yes: {start}{_listed(passed)}."
    return f"Partly: {start}{_listed(passed)}, but not {_listed(missed, 'or')}."


def times(factor: float) -> str:
    """A factor in as few digits as tell it.

    >>> times(0.8), times(5.04), times(1234.0)
    ('0.80', '5.0', '1,234')
    """
    return f"{factor:.2f}" if factor < 1 else f"{factor:.1f}" if factor < 10 else f"{factor:,.0f}"


def _amplitude(recordings: Sequence[Recording]) -> float:
    """Of a sine as loud as the dry: effects are judged at the level at which they are played."""
    energy = sum(float(np.square(r.dry, dtype=np.float64).sum()) for r in recordings)
    return min(float(np.sqrt(2 * energy / sum(r.dry.shape[-1] for r in recordings))), 1.0)


def _player(model: EffectModel) -> Callable[[Signal], Signal]:
    def play(dry: Signal) -> Signal:
        wet: Signal = model.predict(_tensor(dry))[0].numpy()
        return wet

    return play


def _wet_response(manifest: StoreManifest, amplitude: float) -> Response | None:
    """Of the effect that made the store, unless another program plays it: a report starts none."""
    settings = (manifest.recipe or {}).get("effect")
    if settings is None or runs_programs(settings):
        return None
    rate = manifest.sample_rate
    effect = EFFECTS.parse(settings)
    try:
        return measure_response(lambda dry: effect(dry, rate), rate, amplitude)
    except (FxError, ImportError):  # it needs what is not installed here
        return None


def _settled(signal: Signal, of: Recording) -> Signal:
    """The part of a recording's signal (1, T) that `evaluate` judges."""
    return signal[:, settle_samples(signal.shape[-1], of.start_sample) :]


def _tensor(signal: Signal) -> Tensor:
    return torch.as_tensor(signal)[None]  # (1, T) to (B, 1, T)


def _listed(texts: Sequence[str], last_word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = texts
    return f"{', '.join(first)} {last_word} {last}" if first else last
