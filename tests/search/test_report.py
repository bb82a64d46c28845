"""The report of a real search: complete in one file, true to what was measured, the same every time."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
import soundfile
import torch
import yaml

from fxcore.errors import OutputExistsError, SearchError
from fxcore.metrics.level import k_weighted_energy
from search import Search, SearchSpec
from search.excerpt import find_excerpt
from search.findings import Findings, _wet_response, gather, nearer, verdict
from search.report import number, render, spec_yaml, write_report
from search.storage import Storage
from search.study import Study

TOP = 2


@pytest.fixture(scope="module")
def findings(tiny_search: Search) -> Findings:
    return gather(tiny_search, TOP)


@pytest.fixture(scope="module")
def brief(findings: Findings) -> Findings:
    """With one trial in detail, which renders faster."""
    return findings._replace(best=findings.best[:1])


@pytest.fixture(scope="module")
def page(findings: Findings) -> str:
    return render(findings)


def players(page: str) -> list[np.ndarray]:
    """Samples (T,) of every player, in the page's order."""
    sources = re.findall(r'<audio [^>]*src="data:audio/flac;base64,([^"]*)"', page)
    return [soundfile.read(io.BytesIO(base64.b64decode(source)))[0] for source in sources]


def loudness(signal: np.ndarray) -> float:
    """In LU, up to a constant."""
    return 10 * float(k_weighted_energy(torch.as_tensor(signal)[None, None], 8000).log10())


def test_the_page_needs_no_network(page):
    assert "http" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert len(re.findall(r"<script", page)) == 4  # listening tests, waveforms, and what each needs


def test_the_same_search_gives_the_same_page(tiny_search, page, tmp_path):
    path = write_report(tiny_search, tmp_path / "new" / "report.html", top=TOP)
    assert path.read_text(encoding="utf-8") == page


def test_an_existing_file_is_kept_unless_overwritten(tiny_search, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("mine")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_report(tiny_search, out)
    assert out.read_text() == "mine"
    write_report(tiny_search, out, top=1, overwrite=True)
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_search_without_a_model_is_refused_and_nothing_written(tmp_path):
    spec = SearchSpec.from_dict(
        {"name": "new", "data": "s", "budget": {"trial_steps": 1}, "families": {"lstm": None}}
    )
    folder = Storage(tmp_path).search("new")
    folder.mkdir(parents=True)
    Study.create(folder / "study.db", spec, "digest", 8000)
    with pytest.raises(SearchError, match="no trained model yet"):
        write_report(Search("new", Storage(tmp_path)), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_best_trials_are_those_of_the_board_with_their_test_metrics(tiny_search, findings):
    assert [j.row.id for j in findings.best] == [row.id for row in tiny_search.trials()[:TOP]]
    for judged in findings.best:
        assert judged.metrics == tiny_search.test_metrics(judged.row.id)


def test_the_factors_are_the_dry_metrics_over_the_models(findings, page):
    model, dry = findings.best[0].metrics, findings.dry_metrics
    assert dry["log_mel_share"] == pytest.approx(1.0)
    assert (
        f"{1 / model['log_mel_share']:.2f} times" in page or f"{1 / model['log_mel_share']:.1f} times" in page
    )
    assert f"dry {number(dry['esr'])} → model {number(model['esr'])}" in page


def test_preds_and_recordings_are_what_the_test_metrics_judge(findings):
    for judged in findings.best:
        wet = np.concatenate([r.wet for r in findings.recordings], axis=1).astype(np.float64)
        pred = np.concatenate(judged.preds, axis=1)
        assert np.sum((wet - pred) ** 2) / np.sum(wet**2) == pytest.approx(judged.metrics["esr"], rel=1e-4)


def test_dry_and_preds_play_at_the_wets_level_and_residuals_at_their_own(findings, page):
    dry, wet, *others = players(page)
    assert len(others) == 2 * TOP
    assert loudness(dry) == pytest.approx(loudness(wet), abs=0.1)
    level = np.sqrt(np.mean(wet**2))
    excerpt = find_excerpt(findings.recordings, findings.store.sample_rate)
    true_wet = excerpt.cut([r.wet for r in findings.recordings])[0]
    for judged, pred, residual in zip(findings.best, others[::2], others[1::2], strict=True):
        assert loudness(pred) == pytest.approx(loudness(wet), abs=0.1)
        true_residual = true_wet - excerpt.cut(judged.preds)[0]
        np.testing.assert_allclose(residual / level, true_residual / np.sqrt(np.mean(true_wet**2)), atol=1e-3)


def test_every_plot_has_a_caption_and_axes_with_units(page):
    figures = re.findall(r"<figure>.*?</figure>", page, flags=re.DOTALL)
    assert all("<figcaption>" in figure for figure in figures)
    plots = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    parallel = [plot for plot in plots if "Parallel coordinates" in plot]
    assert len(parallel) >= 1
    assert len(plots) == TOP * (1 + 4 + 2 + 3) + 2 + len(parallel)
    text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", " ".join(plots)))
    for label in (
        "compute time (s)",
        "playing speed (times real time)",
        "frequency (Hz)",
        "time (s)",
        "dB",
        "output over input (dB)",
        "harmonics over tone (dB)",
    ):
        assert label in text


def test_twenty_trials_are_shown_and_the_rest_counted(brief):
    rows = [brief.rows[0].model_copy(update={"id": i}) for i in range(25)]
    page = render(brief._replace(rows=rows, reports=dict.fromkeys(range(25), brief.reports[0])))
    board = page[page.index("Leaderboard") : page.index("Listen")]
    assert board.count("<tr") == 1 + 20 + 2
    assert board.count('<tr class="mark"') == 2
    assert "5 more trials are not shown" in board


def test_a_trial_that_failed_before_its_first_report_has_a_row(brief):
    nothing = {"metrics": {}, "parameters": None, "receptive_field": None, "realtime_factor": None}
    failed = brief.rows[-1].model_copy(
        update={**nothing, "id": 99, "state": "failed", "reason": "no <memory>"}
    )
    page = render(brief._replace(rows=[*brief.rows, failed], reports={**brief.reports, 99: []}))
    assert 'title="no &lt;memory&gt;">failed</td>' in page


def test_names_are_escaped(brief):
    store = brief.store.model_copy(update={"source": "<script>alert(1)</script>"})
    page = render(brief._replace(store=store))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_each_of_the_best_has_its_verdict(findings, page):
    for judged in findings.best:
        factors = nearer(findings.dry_metrics, judged.metrics)
        assert f"<p>{verdict(judged.row.id, factors)}</p>" in page


def test_the_gear_is_swept_where_no_other_program_plays_it(tiny_search, findings, page):
    assert findings.wet_response is not None
    assert "The gear itself is not here to be swept" not in page
    manifest = tiny_search.store().manifest
    for settings in ({"kind": "command", "command": "touch {wet}"}, None):
        recipe = {**manifest.recipe, "effect": settings} if settings else None
        assert _wet_response(manifest.model_copy(update={"recipe": recipe}), 0.5) is None
    without = render(findings._replace(best=findings.best[:1], wet_response=None))
    assert "The gear itself is not here to be swept" in without


def test_the_listening_tests_have_all_that_they_play(findings, page):
    data = json.loads(re.search(r'id="listening-data">(.*?)</script>', page)[1])
    assert data["models"] == [f"trial-{judged.row.id}" for judged in findings.best]
    assert set(data["titles"]) > {"dry", "wet", "anchor", *data["models"]}
    assert data["hidden"]["anchor"].startswith("data:audio/flac")
    for key in ("dry", "wet", *data["models"]):
        assert f'id="sound-{key}"' in page
    assert [loop["name"] for loop in data["loops"]] == ["transient", "loud", "quiet"]
    length = len(players(page)[0]) / 8000
    for loop in data["loops"]:
        assert 0 <= loop["start_seconds"] < loop["stop_seconds"] <= length + 1e-3


def test_the_yaml_at_the_end_is_the_search(tiny_search, page):
    text = spec_yaml(tiny_search.spec)
    assert SearchSpec.from_dict(yaml.safe_load(text)) == tiny_search.spec
    assert f'<pre tabindex="0">{text}</pre>' in page
    assert f"fxsearch render recipe.yaml --out {tiny_search.spec.data}" in page
    (recipe,) = re.findall(r"<pre[^>]*>(sample_rate:.*?)</pre>", page, flags=re.DOTALL)
    assert yaml.safe_load(html.unescape(recipe)) == tiny_search.store().manifest.recipe
    assert f"fxsearch export tiny --trial {tiny_search.best().id}" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.00"), (0.05, "0.0500"), (12.34, "12.3"), (1234.5, "1,234"), (1.2e-5, "1.2e-05")],
)
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text
