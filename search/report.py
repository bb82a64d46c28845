"""The report of a search: one HTML file with its verdict, board, plots and audio, which needs no network.

The same search gives the same file.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from fxcore.audio import Signal
from fxcore.errors import OutputExistsError
from fxcore.files import write_bytes
from fxcore.losses.mel import FLOOR_DB, log_mel
from fxcore.metrics import METRICS
from search import plots
from search.board import pareto
from search.config import SearchSpec
from search.excerpt import Excerpt, find_excerpt, find_places, matched, player_source, playing_gain, rms
from search.findings import TITLES, Findings, Judged, esr_over_time, gather, nearer, times, verdict
from search.progress import summary
from search.searches import Search

SHOWN_ROWS = 20
COLOUR_RANGE_DB = 70.0
LEAST_DIFFERENCE_DB = 3.0


class Player(NamedTuple):
    """A sound to listen to."""

    title: str
    note: str
    source: str


class Detail(NamedTuple):
    """One of the best trials as the page shows it."""

    judged: Judged
    esr: Markup
    mels: list[Markup]
    waves: list[Markup]


def write_report(search: Search, out: Path, *, top: int = 3, overwrite: bool = False) -> Path:
    """Write the report, with the best `top` trials in detail, whole or not at all; returns its path.

    Raises `OutputExistsError` where `out` exists, `SearchError` where no trial has a model yet.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise OutputExistsError(out)
    write_bytes(out, render(gather(search, top)).encode())
    return out


def render(findings: Findings) -> str:
    """The HTML page."""
    environment = Environment(
        loader=PackageLoader("search"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "times": times, "summary": summary}
    spec, best = findings.spec, findings.best[0]
    factors = nearer(findings.dry_metrics, best.metrics)
    excerpt = find_excerpt(findings.recordings, findings.store.sample_rate)
    families = sorted({row.family for row in findings.rows})
    colours = dict(zip(families, cycle(plots.FAMILY_COLOURS), strict=False))
    return environment.get_template("report.html").render(
        findings=findings,
        spec=spec,
        verdict=verdict(best.row.id, factors),
        factors=factors,
        title=title,
        titles=TITLES,
        metrics=list(dict.fromkeys([spec.objective, "mr_stft", "esr", "log_mel_share"])),
        shown_rows=SHOWN_ROWS,
        states=Counter(row.state for row in findings.rows),
        excerpt=excerpt,
        players=_players(findings, excerpt),
        details=[_detail(findings, judged, excerpt) for judged in findings.best],
        families={family: plots.VARIABLES[colour] for family, colour in colours.items()},
        curves=_curves(findings, colours),
        speed=_speed(findings, colours),
        spec_yaml=spec_yaml(spec),
    )


def spec_yaml(spec: SearchSpec) -> str:
    """The search as a YAML file that `fxsearch launch` takes."""
    values = spec.as_dict()
    values["budget"] = {key: value for key, value in values["budget"].items() if value is not None}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def number(value: float | None) -> str:
    """Three significant digits.

    >>> number(0.05), number(12.34), number(1234.5), number(1.2e-5), number(None)
    ('0.0500', '12.3', '1,234', '1.2e-05', '–')
    """
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if value >= 1e-3 or value == 0 else f"{value:.1e}"


def title(metric: str) -> str:
    """A metric's name for people, with its unit."""
    unit = METRICS[metric].unit
    return TITLES.get(metric, metric) + (f" ({unit})" if unit else "")


def _players(findings: Findings, excerpt: Excerpt) -> list[Player]:
    """Dry and wet, then pred and residual of each of the best; dry and preds at the wet's level."""
    dry = excerpt.cut([r.dry for r in findings.recordings])
    wet = excerpt.cut([r.wet for r in findings.recordings])
    sounds = [("Dry", "what goes into the gear", matched(dry, wet)), ("Wet", "what comes out of it", wet)]
    for judged in findings.best:
        pred = excerpt.cut(judged.preds)
        level_db = 20 * np.log10(max(rms(wet - pred), 1e-9) / max(rms(wet), 1e-9))
        relation = f"{abs(level_db):.0f} dB {'below' if level_db < 0 else 'above'} the wet"
        sounds.append((f"Trial {judged.row.id}", "what the model makes of the dry", matched(pred, wet)))
        sounds.append(("Its residual", f"wet − model, {relation}", wet - pred))
    gain = np.float32(playing_gain([signal for _, _, signal in sounds]))
    return [
        Player(name, note, player_source(gain * signal, findings.store.sample_rate))
        for name, note, signal in sounds
    ]


def _detail(findings: Findings, judged: Judged, excerpt: Excerpt) -> Detail:
    rate, row = findings.store.sample_rate, judged.row
    dries, wets = [r.dry for r in findings.recordings], [r.wet for r in findings.recordings]
    dry, wet, pred = (excerpt.cut(signals) for signals in (dries, wets, judged.preds))
    seconds, esr = esr_over_time(wets, judged.preds, rate)
    _, dry_esr = esr_over_time(wets, dries, rate)
    return Detail(
        judged,
        esr=_svg(plots.esr_panel(seconds, esr, dry_esr), f"ESR of trial {row.id} over the test split"),
        mels=_mels(dry, pred, wet, rate),
        waves=_waves(matched(dry, wet), wet, pred, rate),
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


def _waves(dry: Signal, wet: Signal, pred: Signal, sample_rate: int) -> list[Markup]:
    places = find_places(wet, sample_rate)
    named = {"Transient": places.transient, "Quiet": places.quiet, "Loud": places.loud}
    panels = []
    for name, start in named.items():
        here = slice(start, start + places.length)
        panel = plots.wave_panel(dry[:, here], wet[:, here], pred[:, here], name, start, sample_rate)
        panels.append(_svg(panel, f"Waveforms at a {name.lower()} place"))
    return panels


def _curves(findings: Findings, colours: Mapping[str, str]) -> Markup:
    objective = findings.spec.objective
    curves = []
    for row in findings.rows:
        reports = [report for report in findings.reports[row.id] if not report.diverged]
        if reports:
            values = [report.metrics[objective] for report in reports]
            curves.append(plots.Curve(colours[row.family], [r.compute_seconds for r in reports], values))
    return _svg(plots.training_curves(curves, title(objective)), "Objective of every trial in training")


def _speed(findings: Findings, colours: Mapping[str, str]) -> Markup:
    objective = findings.spec.objective
    front = {row.id for row in pareto(findings.rows, objective)}
    points = [
        plots.Point(row.id, colours[row.family], row.metrics[objective], row.realtime_factor, row.id in front)
        for row in findings.rows
        if row.metrics and row.realtime_factor and row.state != "diverged"
    ]
    return _svg(plots.quality_and_speed(points, title(objective)), "Objective against playing speed")


def _svg(figure: Figure, label: str) -> Markup:
    return Markup(plots.svg(figure, label))
