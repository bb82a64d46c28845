"""The README is true: its commands run as written, its code works, its files are there."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from fxcore import audio
from search import SearchSpec
from search.cli import main
from search.study import TrialRow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
TINY_BUDGET = "budget: {trials: 2, trial_steps: 9}"


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def commands(program: str) -> list[list[str]]:
    """Arguments of every command of a program in the shell blocks, comments left out."""
    lines = [shlex.split(line, comments=True) for text in blocks("sh") for line in text.splitlines()]
    return [line[1:] for line in lines if line and line[0] == program]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, recorded_pair: tuple[Path, Path]) -> Path:
    """A directory with what the README's commands take: `di.wav`, `amp.wav`, `riff.wav` and `amp.yaml`."""
    folder = tmp_path_factory.mktemp("readme")
    for path in recorded_pair:
        shutil.copy(path, folder)
    riff = np.random.default_rng(3).normal(0, 0.1, (2, 44_100)).astype(np.float32)
    audio.write(folder / "riff.wav", riff, 44_100)
    (spec,) = blocks("yaml")
    tiny, changed = re.subn(r"^budget: .*$", TINY_BUDGET, spec, flags=re.MULTILINE)
    assert changed == 1
    (folder / "amp.yaml").write_text(tiny)
    return folder


@pytest.fixture(scope="module")
def ran(workplace: Path) -> Path:
    """The same after all `fxsearch` commands have run in it, in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace)
        for arguments in commands("fxsearch"):
            patch.setattr(sys, "argv", ["fxsearch", *arguments])
            with pytest.raises(SystemExit) as done:
                main()
            assert done.value.code == 0, arguments
    return workplace


def test_every_block_is_of_a_kind_that_is_tested():
    assert {kind for kind, _ in BLOCKS} == {"sh", "yaml", "python", "json", ""}
    assert {line.split()[0] for text in blocks("sh") for line in text.splitlines()} == {"make", "fxsearch"}


def test_the_commands_take_a_recording_to_a_plug_in(ran):
    assert (ran / "runs" / "stores" / "amp" / "manifest.json").exists()
    assert (ran / "amp.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (ran / "plugins" / "amp.nam").exists()
    wet, sample_rate = audio.read(ran / "amped.wav")
    assert (wet.shape, sample_rate) == ((2, 8000), 8000)


def test_the_python_runs_as_written(ran, monkeypatch):
    monkeypatch.chdir(ran)
    shutil.rmtree(ran / "plugins")
    dry = torch.zeros(2, 1, 1000)
    names = {"dry": dry}
    for text in blocks("python"):
        exec(compile(text, "README.md", "exec"), names)
    assert names["wet"].shape == dry.shape
    assert names["search"].state == "complete"


def test_the_search_file_is_a_search_of_the_ranges_that_are_told():
    (text,) = blocks("yaml")
    spec = SearchSpec.from_dict(yaml.safe_load(text))
    assert (spec.name, spec.data) == ("amp", "stores/amp")
    assert set(spec.space().families) == {"conv", "lstm", "wavenet"}


def test_the_board_has_the_keys_that_the_readme_promises():
    (text,) = blocks("json")
    board = json.loads(text)
    assert list(board) == ["search", "state", "references", "trials"]
    (trial,) = board["trials"]
    assert list(trial) == list(TrialRow.model_fields)
    TrialRow.model_validate(trial)


def test_the_metrics_in_the_table_are_those_that_are_measured():
    table = README.split("| name | what it is |")[1].split("\n\n")[0]
    from fxcore.metrics import METRICS

    assert re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE) == list(METRICS)


def test_the_make_targets_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {arguments[0] for arguments in commands("make")} | set(re.findall(r"`make (\w+)`", README))
    assert named >= {"demo", "test", "check"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_path_in_the_tree_and_in_the_text_is_there():
    (tree,) = blocks("")
    top = ""
    for line in tree.splitlines():
        names = re.match(r"\s*(\S+(?:/|\.\w+)(?:  \S+(?:/|\.\w+)(?=\s))*)", line)
        assert names, line
        top = "" if not line.startswith(" ") else top
        places = [ROOT / top / name for name in names[1].split()]
        assert all(place.exists() for place in places), line
        inside = [place for place in places if place.is_dir()] + [ROOT / top]
        for name in re.findall(r"\b\w+\.py\b", line[names.end() :]):
            assert any((place / name).exists() for place in inside), (line, name)
        top = top or names[1].split()[0]
    for path in re.findall(r"`((?:search|fxcore|datasets|examples|tests)/[\w./]*)`", README):
        assert (ROOT / path).exists(), path
