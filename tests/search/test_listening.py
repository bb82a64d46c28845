"""Listening tests: what results mean, how they are kept, and the anchor."""

import csv
import io
import math

import numpy as np
import pytest
from scipy import signal

from fxcore.errors import SpecError
from search.listening import TESTS, Abx, Answer, Mushra, anchor, binomial_p, keep, kept, to_csv


def nearer(*chosen: str) -> Abx:
    answers = [Answer(a="dry", b="wet", x="trial-3", answer="b" if c == "wet" else "a") for c in chosen]
    return Abx(form="nearer", model="trial-3", loop="loud", answers=tuple(answers))


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
