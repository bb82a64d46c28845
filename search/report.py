"""The report of a search: one HTML file with its verdict, board, plots, audio and listening tests.

It needs no network, and opens from disk. The same search gives the same file.
"""

from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fxcore.errors import OutputExistsError
from fxcore.files import write_bytes
from search import figures, plots
from search.config import SearchSpec
from search.excerpt import find_excerpt, player_source
from search.figures import title
from search.findings import TITLES, Findings, gather, nearer, times, verdict
from search.progress import summary
from search.references import BASELINES, SHOWN_METRICS
from search.searches import Search
from search.sounds import listening_data, loops, sounds, zoom_data

SHOWN_ROWS = 20


def write_report(search: Search, out: Path, *, top: int = 5, overwrite: bool = False) -> Path:
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
    spec, best, rate = findings.spec, findings.best[0], findings.store.sample_rate
    factors = nearer(findings.dry_metrics, best.metrics)
    excerpt = find_excerpt(findings.recordings, rate)
    heard = sounds(findings, excerpt)
    wet = excerpt.cut([r.wet for r in findings.recordings])
    colours = figures.family_colours(findings.rows)
    return (
        templates()
        .get_template("report.html")
        .render(
            findings=findings,
            spec=spec,
            verdict=verdict(best.row.id, factors),
            factors=factors,
            title=title,
            titles=TITLES,
            metrics=list(dict.fromkeys([spec.objective, *SHOWN_METRICS])),
            baselines=BASELINES,
            marks=findings.references,
            shown_rows=SHOWN_ROWS,
            states=Counter(row.state for row in findings.rows),
            excerpt=excerpt,
            players=[(s, player_source(s.signal, rate)) for s in heard if s.key != "anchor"],
            listening=listening_data(spec.name, findings.store.digest(), heard, loops(wet, rate), rate),
            zoom=zoom_data(heard, wet, rate),
            scripts=[script("listening.js"), script("zoom.js")],
            details=[figures.detail(findings, judged, excerpt) for judged in findings.best],
            families={family: plots.VARIABLES[colour] for family, colour in colours.items()},
            curves=figures.curves(findings, colours),
            speed=figures.speed(findings, colours),
            parallels=figures.parallels(findings.rows, spec.objective, colours),
            importances=figures.importance(findings),
            spec_yaml=spec_yaml(spec),
            recipe_yaml=as_yaml(findings.store.recipe) if findings.store.recipe else None,
        )
    )


def templates() -> Environment:
    """Where pages come from; everything put into them is escaped."""
    environment = Environment(
        loader=PackageLoader("search"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "times": times, "summary": summary}
    return environment


def script(name: str) -> Markup:
    """One of the page's own scripts, to stand in a page; it holds nothing of the search."""
    return Markup(files("search").joinpath("templates", name).read_text(encoding="utf-8"))


def spec_yaml(spec: SearchSpec) -> str:
    """The search as a YAML file that `fxsearch launch` takes."""
    values = spec.as_dict()
    values["budget"] = {key: value for key, value in values["budget"].items() if value is not None}
    return as_yaml(values)


def as_yaml(values: Any) -> str:
    """Plain values as YAML, in their own order."""
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
