"""Listening tests: what results mean, how they are kept, and the anchor."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from fxcore.errors import SpecError
from search import Search
from search.listening import TESTS, Abx, Answer, Mushra, Result, anchor, binomial_p, bring, keep, kept, to_csv


def nearer(*chosen: str, model: str = "trial-3") -> Abx:
    answers = [Answer(a="dry", b="wet", x=model, answer="b" if c == "wet" else "a") for c in chosen]
    return Abx(form="nearer", model=model, loop="loud", answers=tuple(answers))


def saved(path: Path, of: Search, *results: Result, **changes: object) -> Path:
    """A file of results as a report of that search writes it."""
    values = {
        "search": of.name,
        "data": of.store().digest,
        "results": [result.as_dict() for result in results],
        **changes,
    }
    path.write_text(json.dumps(values))
    return path


def strict(*pairs: tuple[str, str]) -> Abx:
    answers = [Answer(a="wet", b="trial-3", x=x, answer=answer, seconds=1.5) for x, answer in pairs]
    return Abx(form="strict", model="trial-3", loop="loud", answers=tuple(answers), listener="=1+1, Ann")


@pytest.mark.parametrize("trials", [1, 10, 16])
def test_p_is_the_share_of_coin_throws_with_so_many_hits(trials):
    for hits in range(trials + 1):
        share = sum(math.comb(trials, k) for k in range(hits, trials + 1)) / 2**trials
        assert binomial_p(hits, trials) == pytest.approx(share, rel=1e-12)


def test_a_model_is_told_by_the_wet_in_one_form_and_by_what_it_is_in_the_other():
    assert nearer("wet", "wet", "dry").hits == 2
    assert nearer(*["wet"] * 10).p_value == pytest.approx(2**-10)
    result = strict(("wet", "a"), ("wet", "b"), ("trial-3", "b"), ("trial-3", "a"))
    assert [result.correct(answer) for answer in result.answers] == [True, False, True, False]
    assert result.p_value == pytest.approx(11 / 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "trial-4"},
        {"model": "../x"},
        {"form": "other"},
        {"answers": []},
        {"answers": [{"a": "dry", "b": "dry", "x": "trial-3", "answer": "a"}]},
        {"loop": "x" * 81},
        {"extra": 1},
    ],
)
def test_what_cannot_have_been_heard_is_refused(changes):
    with pytest.raises(SpecError):
        TESTS.parse({**nearer("wet").as_dict(), **changes})


def test_results_are_kept_in_order_and_exported_line_by_line(tmp_path):
    assert kept(tmp_path) == []
    results = [strict(("wet", "a"), ("wet", "b")), Mushra(loop="quiet", ratings={"wet": 100, "anchor": 20.5})]
    for result in results:
        keep(tmp_path, result)
    assert kept(tmp_path) == results
    lines = list(csv.DictReader(io.StringIO(to_csv(kept(tmp_path)))))
    assert [(line["test"], line["number"], line["hit"], line["rating"]) for line in lines] == [
        ("abx", "1", "1", ""),
        ("abx", "2", "0", ""),
        ("mushra", "1", "", "100.0"),
        ("mushra", "2", "", "20.5"),
    ]
    assert lines[0]["listener"] == "'=1+1, Ann"  # for a spreadsheet, text
    assert (lines[0]["model"], lines[0]["x"], lines[3]["sound"]) == ("trial-3", "wet", "anchor")


def test_results_are_told_in_a_line_each(tiny_search, capsys):
    from search.cli import app

    keep(tiny_search.folder, nearer(*["wet"] * 9, "dry"))
    try:
        arguments = ["listening", "tiny", "--storage", str(tiny_search.storage.root)]
        app(arguments, standalone_mode=False)
        assert "9 of 10, p = 0.0107" in capsys.readouterr().out
        app([*arguments, "--csv"], standalone_mode=False)
        assert len(capsys.readouterr().out.splitlines()) == 11
    finally:
        (tiny_search.folder / "listening.jsonl").unlink()


def test_results_that_a_report_saved_are_taken_in_once(tiny_search, tmp_path, capsys):
    from search.cli import app

    old, new = nearer("wet", model="trial-0"), Mushra(loop="quiet", ratings={"wet": 100, "trial-2": 20})
    keep(tiny_search.folder, old)
    try:
        file = saved(tmp_path / "saved.json", tiny_search, old, new, new)
        arguments = ["listening", "tiny", "--add", str(file), "--storage", str(tiny_search.storage.root)]
        app(arguments, standalone_mode=False)
        assert capsys.readouterr().out == "1 new result kept with 'tiny'\n"
        assert kept(tiny_search.folder) == [old, new]
        app(arguments, standalone_mode=False)
        assert capsys.readouterr().out == "0 new results kept with 'tiny'\n"
        assert kept(tiny_search.folder) == [old, new]
    finally:
        (tiny_search.folder / "listening.jsonl").unlink()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"search": "other"}, "is of the search 'other', not of 'tiny'"),
        ({"data": "0" * 32}, "is of another search named 'tiny'"),
        ({"results": [nearer("wet", model="trial-9").as_dict()]}, "is of another search named 'tiny'"),
        ({"results": [Mushra(loop="x", ratings={"trial-9": 1}).as_dict()]}, "is of another search"),
        ({"results": []}, "results: "),
        ({"results": [{**nearer("wet").as_dict(), "model": "../x"}]}, "results.0.*model"),
        ({"results": [{"kind": "other"}]}, "unknown listening test 'other'"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_a_file_that_is_foreign_or_malformed_is_refused_in_one_line(
    tiny_search, tmp_path, changes, complaint
):
    file = saved(tmp_path / "saved.json", tiny_search, nearer("wet", model="trial-0"), **changes)
    with pytest.raises(SpecError, match=complaint) as refusal:
        bring(tiny_search, file)
    assert str(file) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert kept(tiny_search.folder) == []


@pytest.mark.parametrize("content", [b"", b"finished,listener\r\n", b"\xff\xfe", b"[" * 100_000, b"3"])
def test_a_file_of_another_kind_is_refused(tiny_search, tmp_path, content):
    (tmp_path / "saved.csv").write_bytes(content)
    with pytest.raises(SpecError, match="no file of results that a report saved"):
        bring(tiny_search, tmp_path / "saved.csv")


@pytest.mark.parametrize("sample_rate", [8000, 44_100, 96_000])
def test_the_anchor_passes_3500_hz_and_stops_at_4000_without_delay(sample_rate):
    impulse = np.zeros((1, 8192), np.float32)
    impulse[0, 4000] = 1.0
    response = anchor(impulse, sample_rate)
    assert response.shape == impulse.shape
    assert np.argmax(response) == 4000
    hz, level = signal.freqz(response[0], worN=8192, fs=sample_rate)
    db = 20 * np.log10(np.abs(level) + 1e-12)
    assert np.abs(db[hz < 3500]).max() < 0.1
    assert (db[hz > 4000] < -50).all()
