"""The figures of a report, as SVG for its page."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import torch
from markupsafe import Markup
from matplotlib.figure import Figure

from fxcore.audio import Signal
from fxcore.losses.mel import FLOOR_DB, log_mel
from fxcore.metrics import METRICS
from search import plots
from search.board import pareto
from search.excerpt import Excerpt, find_places, matched
from search.findings import TITLES, Findings, Judged, esr_over_time, nearer, verdict
from search.references import SHOWN_METRICS
from search.study import WITHOUT_MODEL, TrialRow

COLOUR_RANGE_DB = 70.0
LEAST_DIFFERENCE_DB = 3.0
MOST_LINES = 500  # of the best trials, in parallel coordinates
LEAST_OF_FAMILY = 3  # trials that are worth coordinates of their own
LOGARITHMIC = ("learning_rate", "parameters", "realtime_factor", "receptive_field", *SHOWN_METRICS)
NAMES = {
    "learning_rate": "learning rate",
    "parameters": "weights",
    "receptive_field": "receptive\nfield (samples)",
    "realtime_factor": "speed (×)",
    "log_mel_share": "log-mel\nshare",
    "mr_stft": "MR-STFT",
    "esr": "ESR",
}


class Detail(NamedTuple):
    """One of the best trials as the page shows it."""

    judged: Judged
    verdict: str
    esr: Markup
    mels: list[Markup]
    waves: dict[str, Markup]  # by the name of the place
    responses: list[Markup]


class Parallel(NamedTuple):
    """Parallel coordinates of all trials, or of one family's."""

    title: str
    figure: Markup


def title(metric: str) -> str:
    """A metric's name for people, with its unit."""
    unit = METRICS[metric].unit
    return TITLES.get(metric, metric) + (f" ({unit})" if unit else "")


def family_colours(rows: list[TrialRow]) -> dict[str, str]:
    """A colour for each family."""
    families = sorted({row.family for row in rows})
    return dict(zip(families, cycle(plots.FAMILY_COLOURS), strict=False))


def detail(findings: Findings, judged: Judged, excerpt: Excerpt) -> Detail:
    """All figures of one trial."""
    rate, row = findings.store.sample_rate, judged.row
    dries, wets = [r.dry for r in findings.recordings], [r.wet for r in findings.recordings]
    dry, wet, pred = (excerpt.cut(signals) for signals in (dries, wets, judged.preds))
    seconds, esr = esr_over_time(wets, judged.preds, rate)
    _, dry_esr = esr_over_time(wets, dries, rate)
    return Detail(
        judged,
        verdict(row.id, nearer(findings.dry_metrics, judged.metrics)),
        esr=_svg(plots.esr_panel(seconds, esr, dry_esr), f"ESR of trial {row.id} over the test split"),
        mels=_mels(dry, pred, wet, rate),
        waves=_waves(matched(dry, wet, rate), wet, pred, rate),
        responses=_responses(findings, judged),
    )


def _mels(dry: Signal, pred: Signal, wet: Signal, sample_rate: int) -> list[Markup]:
    dry_db, pred_db, wet_db = (
        log_mel(torch.as_tensor(signal)[None], sample_rate)[0].numpy() for signal in (dry, pred, wet)
    )
    top_db = max(float(level.max()) for level in (dry_db, pred_db, wet_db))
    limits_db = (max(FLOOR_DB, top_db - COLOUR_RANGE_DB), top_db)
    seconds = wet.shape[-1] / sample_rate
    difference_db = pred_db - wet_db
    most_db = max(LEAST_DIFFERENCE_DB, float(np.ceil(np.quantile(np.abs(difference_db), 0.995))))
    panels = {
        "Dry": plots.mel_panel(dry_db, "Dry", seconds, sample_rate, limits_db),
        "Model": plots.mel_panel(pred_db, "Model", seconds, sample_rate, limits_db),
        "Wet": plots.mel_panel(wet_db, "Wet", seconds, sample_rate, limits_db),
        "Model − wet": plots.mel_panel(
            difference_db, "Model − wet", seconds, sample_rate, (-most_db, most_db), difference=True
        ),
    }
    return [_svg(panel, f"Mel spectrogram: {name}") for name, panel in panels.items()]


def _waves(dry: Signal, wet: Signal, pred: Signal, sample_rate: int) -> dict[str, Markup]:
    panels = {}
    for name, (start, stop) in find_places(wet, sample_rate).named().items():
        here = slice(start, stop)
        panel = plots.wave_panel(dry[:, here], wet[:, here], pred[:, here], name, start, sample_rate)
        panels[name] = _svg(panel, f"Waveforms at a {name.lower()} place")
    return panels


def _responses(findings: Findings, judged: Judged) -> list[Markup]:
    model, wet = judged.response, findings.wet_response
    level = plots.response_panel(
        model.frequency_hz, model.level_db, wet and wet.level_db, "frequency (Hz)", "output over input (dB)"
    )
    distortion = plots.response_panel(
        model.frequency_hz,
        model.distortion_db,
        wet and wet.distortion_db,
        "frequency of the tone (Hz)",
        "harmonics over tone (dB)",
    )
    return [
        _svg(level, f"Frequency response of trial {judged.row.id}"),
        _svg(distortion, f"Harmonic distortion of trial {judged.row.id}"),
    ]


def curves(findings: Findings, colours: Mapping[str, str]) -> Markup:
    """The objective of every trial while it trained."""
    objective = findings.spec.objective
    found = []
    for row in findings.rows:
        reports = [report for report in findings.reports[row.id] if not report.diverged]
        if reports:
            values = [report.metrics[objective] for report in reports]
            found.append(plots.Curve(colours[row.family], [r.compute_seconds for r in reports], values))
    return _svg(plots.training_curves(found, title(objective)), "Objective of every trial in training")


def speed(findings: Findings, colours: Mapping[str, str]) -> Markup:
    """Quality against playing speed, with the Pareto front."""
    objective = findings.spec.objective
    front = {row.id for row in pareto(findings.rows, objective)}
    points = [
        plots.Point(row.id, colours[row.family], row.metrics[objective], row.realtime_factor, row.id in front)
        for row in findings.rows
        if row.metrics and row.realtime_factor and row.state not in WITHOUT_MODEL
    ]
    return _svg(plots.quality_and_speed(points, title(objective)), "Objective against playing speed")


def parallels(all_rows: list[TrialRow], objective: str, colours: Mapping[str, str]) -> list[Parallel]:
    """What all trials share, then the settings of each family of which there are some."""
    rows = [r for r in all_rows if r.metrics and r.state not in WITHOUT_MODEL][:MOST_LINES]
    others = [metric for metric in SHOWN_METRICS if metric != objective]
    results = ["parameters", "realtime_factor", *others, objective]
    found = [_parallel("All trials", rows, ["family", "output", "bits", "learning_rate", *results], colours)]
    for family in colours:
        own = [row for row in rows if row.family == family]
        settings = [name for name in own[0].config["model"] if name not in ("kind", "output")] if own else []
        if len(own) >= LEAST_OF_FAMILY and settings:
            found.append(_parallel(family, own, [*settings, "learning_rate", objective], colours))
    return [parallel for parallel in found if parallel is not None]


def _parallel(
    name: str, rows: list[TrialRow], settings: list[str], colours: Mapping[str, str]
) -> Parallel | None:
    """Only axes on which trials differ; None where fewer than two are left."""
    flat = [row.flat() for row in rows]
    axes = []
    for setting in dict.fromkeys(settings):
        values = [_plain(values.get(setting)) for values in flat]
        if len({value for value in values if value is not None}) > 1:
            axes.append(plots.ParallelAxis(NAMES.get(setting, setting), values, setting in LOGARITHMIC))
    if len(axes) < 2:
        return None
    figure = plots.parallel_coordinates(axes, [colours[row.family] for row in rows])
    return Parallel(name, _svg(figure, f"Parallel coordinates: {name}"))


def _plain(value: Any) -> float | str | None:
    """A value as an axis takes it: words for what is no number."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def importance(findings: Findings) -> list[Markup]:
    """A panel of bars for all trials, and one for each family with enough of them."""
    names = {"all": "Family and output, all trials"}
    return [
        _svg(plots.shares_panel(shares, names.get(group, group)), f"Importance of settings: {group}")
        for group, shares in findings.importances.items()
    ]


def _svg(figure: Figure, label: str) -> Markup:
    return Markup(plots.svg(figure, label))
