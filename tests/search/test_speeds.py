"""Speeds in the engines of exports: measured once, kept with the search, written into the files."""

import json
from pathlib import Path

import pytest

from fxcore.export import load
from fxcore.export.cost import nam_realtime_factor
from search import Search, speeds


@pytest.fixture
def lstm(tiny_search: Search) -> int:
    return next(row.id for row in tiny_search.trials() if row.family == "lstm")


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where NAM Core was not installed."""
    monkeypatch.setattr(speeds, "INSTALLED", [])


def test_a_measured_speed_is_kept_and_not_measured_again(
    tiny_search: Search, lstm: int, tmp_path: Path
) -> None:
    playable = tiny_search.playable(lstm)
    first = speeds.measured(playable, "onnx", tmp_path)
    assert first is not None
    assert first > 0
    assert json.loads((tmp_path / speeds.FILE).read_text()) == {str(lstm): {"onnx": first}}
    (tmp_path / speeds.FILE).write_text(json.dumps({str(lstm): {"onnx": 12.5}}))
    assert speeds.measured(playable, "onnx", tmp_path) == 12.5


def test_a_record_that_is_broken_is_made_anew(tiny_search: Search, lstm: int, tmp_path: Path) -> None:
    (tmp_path / speeds.FILE).write_text("{")
    assert speeds.measured(tiny_search.playable(lstm), "onnx", tmp_path) is not None


@pytest.mark.usefixtures("no_engine")
def test_without_the_engine_nam_is_predicted_and_nothing_is_kept(
    tiny_search: Search, lstm: int, tmp_path: Path
) -> None:
    playable = tiny_search.playable(lstm)
    assert speeds.measured(playable, "nam", tmp_path) is None
    assert speeds.speed(playable, "nam", tmp_path) == nam_realtime_factor(playable.model, 8_000)
    assert not (tmp_path / speeds.FILE).exists()


@pytest.mark.parametrize("kind", ["nam", "onnx", "safetensors"])
def test_the_same_trial_gives_the_same_bytes_with_the_speeds_that_were_measured_once(
    kind: str, tiny_search: Search, lstm: int, tmp_path: Path
) -> None:
    first, again = (tiny_search.export(kind, tmp_path / name, trial=lstm)[0] for name in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    facts = load(first).facts["realtime_factor"]
    (row,) = (row for row in tiny_search.trials() if row.id == lstm)
    assert facts["stream"] == pytest.approx(row.realtime_factor, abs=0.01)
    assert ("onnx" in facts) == (kind == "onnx")
    assert ("nam_predicted" in facts) == (kind == "nam")
    assert ("nam" in facts) == (kind == "nam" and speeds.nam_core() is not None)


@pytest.mark.engine
def test_nam_core_is_measured_where_it_is_installed(tiny_search: Search, lstm: int, tmp_path: Path) -> None:
    playable = tiny_search.playable(lstm)
    factor = speeds.measured(playable, "nam", tmp_path)
    predicted = nam_realtime_factor(playable.model, playable.sample_rate)
    assert factor is not None
    assert predicted is not None
    assert predicted / 5 < factor < 5 * predicted  # on whatever machine
    assert json.loads((tmp_path / speeds.FILE).read_text())[str(lstm)]["nam"] == factor
