"""The leaderboard: marked rows, conditions, comparison, CSV, and the list of all searches."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from datasets.cache import cached_split
from fxcore.errors import ExportError, SpecError
from fxcore.export.cost import nam_realtime_factor
from fxcore.metrics import METRICS, measure
from fxcore.training import evaluate, to_device
from search import Search, speeds
from search.board import board_csv, board_json, board_table, chosen, comparison, costed, pareto
from search.overview import overview, overview_table
from search.references import Reference, dry_metrics, judged, references
from search.storage import Storage
from search.study import TrialRow


def text(table) -> list[str]:
    """Lines of a table as printed, without spaces at their ends."""
    console = Console(width=180, file=io.StringIO())
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(number: int, esr: float | None, speed: float | None = 1.0, family: str = "lstm") -> TrialRow:
    config = {"model": {"kind": family, "hidden": 8, "output": {"kind": "regression"}}}
    return TrialRow(
        id=number,
        state="complete" if esr else "waiting",
        family=family,
        config=config,
        metrics={"log_mel_share": esr, "esr": esr, "mr_stft": 0.5} if esr else {},
        best_step=1,
        compute_seconds=1.0,
        parameters=10,
        receptive_field=None,
        realtime_factor=speed,
    )


def test_json_is_every_trial_best_first_and_the_references(tiny_search):
    board = board_json(tiny_search, tiny_search.trials(), references(tiny_search.store()))
    assert json.loads(json.dumps(board)) == board
    assert list(board) == ["search", "state", "references", "trials"]
    assert (board["search"], board["state"]) == ("tiny", "complete")
    values = [trial["metrics"]["log_mel_share"] for trial in board["trials"]]
    assert values == sorted(values)
    assert [trial["rank"] for trial in board["trials"]] == [1, 2, 3]
    for trial in board["trials"]:
        assert list(trial) == list(TrialRow.model_fields)
        assert trial["config"]["model"]["kind"] == trial["family"]
        assert set(trial["metrics"]) == set(METRICS)
        assert (trial["receptive_field"] is None) == (trial["family"] == "lstm")
    dry, floor = board["references"]
    assert (dry["name"], floor["name"]) == ("dry signal", "repeatability floor")
    assert dry["metrics"]["log_mel_share"] == pytest.approx(1.0)
    assert floor["metrics"] == {"esr": tiny_search.store().manifest.probes.repeatability_esr}


def test_the_dry_is_judged_where_models_are(tiny_search):
    store = tiny_search.store()
    pairs = to_device(cached_split(store, "validation"))

    class Nothing:
        def predict(self, dry, start_sample):
            return dry

    assert dry_metrics(store, "validation") == evaluate(Nothing(), pairs, 8000)
    assert dry_metrics(store, "validation") == dry_metrics(store, "validation")  # from its file
    whole = measure(((p.dry, p.wet, p.dry) for p in pairs), 8000)
    assert whole != dry_metrics(store, "validation")
    assert [r.dry.shape for r in judged(cached_split(store, "validation"))] == [(1, 12_000)]


def test_a_store_without_a_probe_has_no_floor(tiny_search, monkeypatch):
    store = tiny_search.store()
    manifest = store.manifest
    probes = manifest.probes.model_copy(update={"repeatability_esr": None})
    monkeypatch.setattr(store, "manifest", manifest.model_copy(update={"probes": probes}))
    assert [reference.name for reference in references(store)] == ["dry signal"]


def test_the_table_has_a_line_for_every_trial_and_one_for_every_reference_in_its_place(tiny_search):
    marked = [Reference("dry signal", {"log_mel_share": 0.2, "esr": 1.0}), Reference("floor", {"esr": 0.01})]
    rows = [row(4, 0.1), row(2, 0.3), row(0, None)]
    title, head, *lines, _ = text(board_table(tiny_search, rows, marked))
    assert title.startswith("tiny · complete · best first by log_mel_share")
    assert head.split()[:5] == ["#", "trial", "share", "mr_stft", "esr"]
    assert [line.split()[-2] if "—" in line else line.split()[0] for line in lines[:4]] == [
        "floor",
        "4",
        "signal",
        "2",
    ]
    assert lines[4].split()[0] == "0"


def test_the_table_marks_the_baseline_and_counts_what_it_leaves_out(tiny_search):
    lines = text(board_table(tiny_search, [row(i, 0.1 + i, family="hammerstein") for i in range(5)], limit=2))
    assert sum("— baseline —" in line for line in lines) == 2
    assert lines[-1] == "and 3 more; --json lists all"


def test_csv_has_a_line_for_every_trial_and_a_column_for_every_value(tiny_search):
    rows = tiny_search.trials()
    read = list(csv.DictReader(io.StringIO(board_csv(rows))))
    assert [int(line["id"]) for line in read] == [r.id for r in rows]
    for line, trial in zip(read, rows, strict=True):
        assert float(line["esr"]) == trial.metrics["esr"]
        assert line["family"] == trial.family
        assert (line["hidden"] == "") == (trial.family == "conv")
        assert float(line["learning_rate"]) == trial.config["training"]["learning_rate"]


def test_a_condition_keeps_ranks_and_order(tiny_search):
    rows = tiny_search.trials()
    lstms = [r for r in rows if r.family == "lstm"]
    assert chosen(rows, "family=lstm") == lstms
    assert [r.rank for r in chosen(rows, "family=lstm")] == [r.rank for r in lstms]
    assert chosen(rows, "rank<=2") == rows[:2]
    with pytest.raises(SpecError, match="unknown name 'hiden'"):
        chosen(rows, "hiden=3")
    assert chosen([], "receptive_field>3") == []  # of a search that has just begun


def test_the_front_leaves_out_what_another_trial_beats():
    rows = [row(0, 0.1, 2.0), row(1, 0.2, 2.0), row(2, 0.3, 5.0), row(3, 0.4, None), row(4, None, 9.0)]
    assert [r.id for r in pareto(rows, "log_mel_share")] == [0, 2]


def test_a_comparison_shows_what_differs_and_marks_the_better():
    first, second = row(3, 0.1, 2.0), row(5, 0.2, 4.0)
    table = comparison([first, second], 3, 5)
    lines = text(table)
    assert lines[0].split() == ["trial", "3", "trial", "5"]
    assert [line.split()[0] for line in lines[1:-1]] == ["realtime_factor", "log_mel_share", "esr"]
    assert lines[-1].endswith("more are equal")
    styles = [[str(cell.style) for cell in column.cells] for column in table.columns[1:]]
    assert styles == [["", "bold green", "bold green"], ["bold green", "", ""]]


def test_the_list_of_searches_hides_none_that_cannot_be_read(tiny_search, tmp_path):
    searches = tmp_path / "searches"
    shutil.copytree(tiny_search.folder, searches / "tiny")
    (searches / "broken").mkdir()
    (searches / "broken" / "study.db").write_bytes(b"no database")
    broken, tiny = overview(Storage(tmp_path))
    assert (broken.search, broken.state) == ("broken", "unreadable")
    assert "broken/study.db cannot be used: file is not a database" in broken.reason
    assert (tiny.state, tiny.trials, tiny.of_trials) == ("complete", 3, 3)
    assert tiny.best == tiny_search.trials()[0]
    lines = text(overview_table([broken, tiny]))
    assert lines[-1].split()[:5] == ["tiny", "complete", "3", "of", "3"]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--json"], '"references"'),
        (["--csv"], "rank,id,state"),
        (["--where", "family=conv"], "conv layers="),
        (["--compare", "0", "1"], "trial 0"),
        (["--watch"], "— dry signal —"),
    ],
)
def test_the_command_shows_it(tiny_search, capsys, options, shown):
    from search.cli import app

    root: Path = tiny_search.storage.root
    app(["board", "tiny", "--storage", str(root), *options], standalone_mode=False)
    assert shown in capsys.readouterr().out
    app(["searches", "--storage", str(root)], standalone_mode=False)
    assert "3 of 3" in capsys.readouterr().out


def test_the_leaderboard_frame_has_settings_and_metrics(tiny_search: Search):
    frame = tiny_search.leaderboard()
    assert {"family", "hidden", "output", "esr", "learning_rate"} <= set(frame.columns)
    assert list(frame.index) == [r.id for r in tiny_search.trials()]


def test_the_speed_can_be_that_of_the_engine_of_an_export(tiny_search, monkeypatch):
    monkeypatch.setattr(speeds, "INSTALLED", [])
    (tiny_search.folder / speeds.FILE).unlink(missing_ok=True)
    rows = tiny_search.trials()
    assert costed(tiny_search, rows, "stream") == rows
    told = {row.id: row.realtime_factor for row in costed(tiny_search, rows, "nam")}
    for row in rows:
        expected = nam_realtime_factor(tiny_search.playable(row.id).model, tiny_search.sample_rate)
        assert told[row.id] == expected
        assert (expected is None) == (row.family == "conv")
    assert all(row.realtime_factor > 0 for row in costed(tiny_search, rows[:1], "onnx"))


def test_an_unknown_engine_is_told_with_the_nearest(tiny_search):
    with pytest.raises(ExportError, match="unknown engine 'nan'; did you mean 'nam'"):
        costed(tiny_search, tiny_search.trials(), "nan")
