"""The command line: what each command writes and prints, and what it says to a mistake."""

import inspect
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
import typer
import yaml

from fxcore import audio
from fxcore.export import FORMATS, formats_for, load
from fxcore.models import FAMILIES
from fxcore.training import Cost, Report
from search import Search
from search.cli import app, main
from search.record import Record
from search.report import spec_yaml
from search.storage import Storage
from search.study import Study

RECIPE = """\
sample_rate: 8000
seed: 1
effect: {kind: fuzz, tone_hz: 3000}
track: {segments: 1, segment_seconds: 2}
splits: {train: 1}
"""
COMMANDS = typer.main.get_command(app).commands


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `fxsearch` with arguments, in this process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["fxsearch", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return Done(exit_.value.code, *capsys.readouterr())

    return run


def succeed(done: Done) -> str:
    """Its output, once it is seen to have gone well."""
    assert (done.code, done.err) == (0, "")
    return done.out


def refusal(done: Done) -> str:
    """Its one line of complaint."""
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("fxsearch: ")
    return line


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its contents, and every folder."""
    paths = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in paths}


@pytest.fixture(scope="module")
def root(tiny_search: Search) -> Path:
    """The storage root that holds the search `tiny`."""
    return tiny_search.storage.root


@pytest.fixture
def place(
    tmp_path: Path, tiny_search: Search, recorded_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working directory with good and bad inputs; `store` is a good store, `runs` the default root."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    for path in recorded_pair:
        shutil.copy(path, tmp_path)
    Path("recipe.yaml").write_text(RECIPE)
    shutil.copytree(tiny_search.store().uri, "store")
    Path("search.yaml").write_text(
        "name: amp\ndata: ./store\nbudget: {trial_steps: 9}\nfamilies:\n  lstm: {hidden: [4, 8]}\n"
    )
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_help_gives_an_example_that_the_command_takes(cli, name):
    assert "Example:" in succeed(cli(name, "--help"))
    example = inspect.getdoc(COMMANDS[name].callback).split("Example: `")[1].split("`")[0]
    program, command, *arguments = shlex.split(example)
    assert (program, command) == ("fxsearch", name)
    COMMANDS[name].make_context(name, arguments)  # raises for what it does not take


def test_without_arguments_all_commands_are_listed(cli):
    done = cli()
    assert all(f" {name} " in done.out + done.err for name in COMMANDS)


def test_generate_writes_tracks_of_ten_second_segments_and_repeats_them(cli, tmp_path):
    first, second, other = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    assert succeed(cli("generate", 2, 1, "--out", first, "--sample-rate", 8000)) == f"2 tracks in {first}\n"
    assert [p.name for p in sorted(first.iterdir())] == ["track-000.wav", "track-001.wav"]
    info = soundfile.info(first / "track-000.wav")
    assert (info.samplerate, info.channels, info.frames) == (8000, 1, 80_000)
    succeed(cli("generate", 2, 1, "--out", second, "--sample-rate", 8000))
    succeed(cli("generate", 2, 1, "--out", other, "--sample-rate", 8000, "--seed", 1))
    assert tree(first) == tree(second)
    assert len({*tree(first).values(), *tree(other).values()}) == 4


def test_render_and_inspect_say_what_is_in_a_store(cli, place):
    out = succeed(cli("render", "recipe.yaml", "--out", "stores/fuzz"))
    assert f"{place}/runs/stores/fuzz: effect fuzz, 8000 Hz" in out
    facts = json.loads(succeed(cli("inspect", "stores/fuzz", "--verify", "--json")))
    assert facts["verified"]
    assert (facts["problems"], facts["shards"], facts["sample_rate"]) == ([], 3, 8000)
    assert {split: part["seconds"] for split, part in facts["splits"].items()} == {
        "train": 2.0,
        "validation": 2.0,
        "test": 2.0,
    }
    assert "3 shards verified" in succeed(cli("inspect", "stores/fuzz", "--verify"))
    assert "verified" not in succeed(cli("inspect", "stores/fuzz"))


def test_render_again_with_overwrite_gives_the_same_store(cli, place):
    succeed(cli("render", "recipe.yaml", "--out", "./out"))
    before = tree(place / "out")
    succeed(cli("render", "recipe.yaml", "--out", "./out", "--overwrite"))
    assert tree(place / "out") == before


@pytest.mark.usefixtures("place")
def test_import_tells_the_latency_and_splits_by_time(cli):
    report = json.loads(succeed(cli("import", "di.wav", "amp.wav", "--out", "stores/amp", "--json")))
    assert abs(report["latency_samples"] - 20) <= 16
    assert report["polarity"] == 1
    assert sum(report["seconds"].values()) == pytest.approx(15.0, abs=3.5)
    facts = json.loads(succeed(cli("inspect", "stores/amp", "--json")))
    assert facts["source"] == "recordings di.wav and amp.wav"
    line = succeed(
        cli(
            "import", "di.wav", "amp.wav", "--test", "di.wav", "amp.wav", "--out", "stores/amp", "--overwrite"
        )
    )
    assert "test 15.0 s" in line
    assert "latency " in line


def test_launching_a_complete_search_shows_its_board_and_its_verdict(cli, tiny_search, root, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(spec_yaml(tiny_search.spec))
    out = succeed(cli("launch", path, "--storage", root))
    assert "search 'tiny' is complete; a larger budget extends it" in out
    assert "tiny · complete · best first by log_mel_share on the validation split" in out
    best = tiny_search.best().id
    esr = tiny_search.test_metrics(best)["esr"]
    assert f"trial {best} on the test split: log-mel distance to the wet " in out
    assert f"ESR {esr:.2g}, " in out
    assert "next: fxsearch export tiny --out DIR" in out


def test_export_writes_all_formats_that_hold_the_model_where_asked_or_below_the_root(
    cli, tiny_search, root, tmp_path
):
    lstm = next(row.id for row in tiny_search.trials() if row.family == "lstm")
    out = succeed(cli("export", "tiny", "--trial", lstm, "--out", tmp_path, "--storage", root))
    assert formats_for(tiny_search.playable(lstm).model) == [
        kind for kind, each in FORMATS.items() if str(tmp_path / f"tiny-{lstm}{each.extension}") in out
    ]
    paths = [tmp_path / f"tiny-{lstm}{extension}" for extension in (".safetensors", ".nam", ".onnx")]
    dry = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0)) / 8
    wets = [load(path).model.predict(dry) for path in paths]
    assert all(torch.allclose(wets[0], wet, atol=1e-5) for wet in wets[1:])
    assert all(load(path).facts["search"] == "tiny" for path in paths)
    (line,) = succeed(cli("export", "tiny", "--format", "safetensors", "--storage", root)).splitlines()
    assert line == str(root / "models" / "tiny" / "tiny.safetensors")


def test_one_format_without_a_trial_takes_the_best_trial_that_it_can_hold(cli, tiny_search, tmp_path):
    folder = Storage(tmp_path).search("tiny")  # the same trials, in which the conv came out best
    shutil.copytree(tiny_search.folder / "checkpoints", folder / "checkpoints")
    digest = tiny_search.study.store_digest
    record = Record(Study.create(folder / "study.db", tiny_search.spec, digest, 8000))
    numbers = {}
    for _ in range(2):
        number, config = record.ask()
        metrics = {"log_mel_share": 1.0 if config.model.kind == "conv" else 2.0}
        record.record_cost(number, Cost(1, None, 1.0))
        record.record(number, Report(9, 9, 1.0, 0.1, metrics, metrics, 9, False))
        record.finish(number, "complete")
        numbers[config.model.kind] = number
    assert Search("tiny", Storage(tmp_path)).best().id == numbers["conv"]
    arguments = ["export", "tiny", "--storage", tmp_path, "--out", tmp_path, "--overwrite"]
    assert f"{tmp_path}/tiny.onnx\n" in succeed(cli(*arguments))
    assert not (tmp_path / "tiny.nam").exists()
    assert succeed(cli(*arguments, "--format", "nam")) == f"{tmp_path}/tiny.nam\n"
    assert load(tmp_path / "tiny.nam").facts["trial"] == numbers["lstm"]
    line = refusal(cli(*arguments, "--format", "nam", "--trial", numbers["conv"]))
    assert "a .nam file holds conv models with kernel 2; this one has 4, and would fit with layers 6" in line


def test_a_rate_other_than_its_own_is_refused_for_a_network_and_explained(cli, root):
    line = refusal(cli("export", "tiny", "--sample-rate", 48_000, "--storage", root))
    assert "only a fir can be resampled" in line


def test_formats_lists_every_format_family_and_player(cli):
    out = succeed(cli("formats"))
    assert all(kind in out and each.players in out for kind, each in FORMATS.items())
    assert all(family in out for family in FAMILIES)
    table = json.loads(succeed(cli("formats", "--json")))
    assert table["proteus"]["holds"]["lstm"]["hidden"] == [40]


def test_apply_plays_every_channel_at_the_models_rate(cli, tiny_search, place):
    (model,) = tiny_search.export("safetensors", place)
    tone = np.sin(2 * np.pi * 220 * np.arange(44_100) / 44_100).astype(np.float32) / 2
    audio.write("stereo.wav", np.stack([tone, 0.5 * tone]), 44_100)
    out = succeed(cli("apply", model, "stereo.wav", "wet.wav"))
    assert out == "resampled from 44100 to the model's 8000 Hz\nwet.wav: 1.0 s\n"
    wet, sample_rate = audio.read("wet.wav")
    assert (wet.shape, sample_rate) == ((2, 8000), 8000)
    dry = audio.resample(audio.read("stereo.wav")[0], 44_100, 8000)
    expected = load(model).model.predict(torch.from_numpy(dry)[:, None])[:, 0]
    np.testing.assert_allclose(wet, expected, atol=1e-6)
    assert not np.allclose(wet[0], wet[1])


@pytest.mark.usefixtures("place")
def test_apply_reads_and_writes_flac_and_plays_a_checkpoint(cli, tiny_search):
    audio.write("riff.flac", audio.read("di.wav")[0] / 2, 8000)
    checkpoint = sorted((tiny_search.folder / "checkpoints").rglob("*.safetensors"))[0]
    assert succeed(cli("apply", checkpoint, "riff.flac", "wet.flac")) == "wet.flac: 15.0 s\n"
    assert soundfile.info("wet.flac").subtype == "PCM_24"
    succeed(cli("apply", checkpoint, "riff.flac", "wet.wav"))
    assert soundfile.info("wet.wav").subtype == "FLOAT"
    np.testing.assert_allclose(audio.read("wet.flac")[0], audio.read("wet.wav")[0], atol=2e-7)


def test_report_is_one_page_about_the_search(cli, root, tmp_path):
    path = tmp_path / "page" / "tiny.html"
    assert succeed(cli("report", "tiny", "--out", path, "--storage", root)) == f"{path}\n"
    assert "<title>tiny" in path.read_text()


def test_doctor_names_what_is_there_and_what_is_not(cli, root):
    facts = json.loads(succeed(cli("doctor", "--json", "--storage", root)))
    assert facts["torch"] == torch.__version__
    assert facts["cpus"] == len(os.sched_getaffinity(0))
    assert facts["storage"] == str(root)
    assert {"python", "memory_gib", "gpus", "ray", "optuna", "pyarrow", "free_disk_gib"} <= set(facts)
    assert str(root) in succeed(cli("doctor", "--storage", root))


def test_brackets_and_colons_in_a_path_are_printed_as_they_are(cli, tmp_path):
    out = tmp_path / "takes[bold] :guitar:"
    assert succeed(cli("generate", 1, 1, "--out", out, "--sample-rate", 8000)) == f"1 tracks in {out}\n"


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (1, 120_000)).astype(np.float32)


def write_bad_inputs(place: Path) -> None:
    dry = audio.read("di.wav")[0]
    Path("text.wav").write_text("not audio\n")
    soundfile.write("nan.wav", np.where(np.arange(dry.size) == 800, np.nan, dry[0]), 8000, subtype="FLOAT")
    audio.write("silent.wav", 0 * dry, 8000)
    audio.write("short.wav", dry[:, : 12 * 8000], 8000)
    audio.write("noise.wav", noise(1), 8000)
    audio.write("taken.wav", dry, 8000)
    Path("taken.html").write_text("mine")
    shutil.copytree("store", "half")
    Path("half/manifest.json").unlink()
    shutil.copytree("store", "bad")
    for shard in Path("bad").glob("train-0*"):
        shard.write_bytes(b"?" + shard.read_bytes()[1:])
    (place / "dry").mkdir()
    Path("dry/track-001.wav").write_text("mine")
    Path("key.yaml").write_text(Path("search.yaml").read_text().replace("lstm", "lsmt"))
    Path("effect.yaml").write_text(RECIPE.replace("kind: fuzz", "kind: fuz"))
    Path("track.yaml").write_text(RECIPE.replace("segments:", "segmnts:"))
    Path("name.yaml").write_text(Path("search.yaml").read_text().replace("amp", "../amp"))
    Path("text.nam").write_text("not a model")


MISTAKES = {
    "import missing.wav amp.wav --out new": "missing.wav does not exist; give the path of an audio file",
    "import text.wav amp.wav --out new": "text.wav cannot be read as audio",
    "import nan.wav amp.wav --out new": "nan.wav has 1 NaN or infinite samples, the first at 0.100 s",
    "import silent.wav amp.wav --out new": "silent.wav is silent",
    "import di.wav silent.wav --out new": "silent.wav is silent",
    "import di.wav short.wav --out new": "must be of one length, give or take 1 s; got 15.00 s and 12.00 s",
    "import di.wav noise.wav --out new": "dry and wet must belong together",
    "import di.wav amp.wav --test di.wav missing.wav --out new": "missing.wav does not exist",
    "import di.wav amp.wav --out ./store": "/store exists already; give another place, or --overwrite",
    "generate 2 1 --out dry": "dry/track-001.wav exists already",
    "render missing.yaml --out new": "missing.yaml does not exist",
    "render effect.yaml --out new": "effect.yaml:3: effect: unknown effect 'fuz'; did you mean 'fuzz'?",
    "render track.yaml --out new": "track.yaml:4: unknown key 'track.segmnts'; did you mean 'segments'",
    "render recipe.yaml --out ./store": "/store exists already",
    "render recipe.yaml --out ./dry --overwrite": "/dry also holds 'track-001.wav'",
    "inspect ./nowhere": "no sample store at ",
    "inspect ./half": "is no finished sample store (manifest.json is missing)",
    "inspect ./bad": "is corrupt (its hash differs)",
    "launch missing.yaml": "missing.yaml does not exist",
    "launch key.yaml": "key.yaml:5: families.lsmt: unknown family 'lsmt'; did you mean 'lstm'?",
    "launch name.yaml": "name.yaml:1: name: string should match pattern",
    "launch search.yaml --name ../amp": "name: string should match pattern",
    "launch search.yaml --set budget.trails=3": "unknown key 'budget.trails'; did you mean 'trials'",
    "launch search.yaml --set data=./nowhere": "no sample store at ",
    "launch search.yaml --set data=./half": "is no finished sample store",
    "launch search.yaml --set data=./bad": "is corrupt (its hash differs)",
    "launch search.yaml --storage di.wav": "di.wav/searches/amp: Not a directory",
    "board amp": "no search 'amp' in ",
    "board tny --storage ROOT": "did you mean 'tiny'?",
    "board ../tiny --storage ROOT": "no search '../tiny'",
    "board tiny --where famly=lstm --storage ROOT": "unknown name 'famly' in a condition; did you mean",
    "board tiny --compare 0 99 --storage ROOT": "no trial 99 to compare; the best are ",
    "export tny --storage ROOT": "did you mean 'tiny'?",
    "export tiny --format nma --storage ROOT": "unknown format 'nma'; did you mean 'nam'?",
    "export tiny --trial 99 --storage ROOT": "search 'tiny' has no trial 99; its best are ",
    "export tiny --format safetensors --out . --storage ROOT": "exists already",
    "apply missing.nam di.wav new.wav": "missing.nam does not exist",
    "apply text.nam di.wav new.wav": "text.nam",
    "apply di.wav di.wav new.wav": "di.wav is no model; models end in ",
    "apply MODEL missing.wav new.wav": "missing.wav does not exist",
    "apply MODEL text.wav new.wav": "text.wav cannot be read as audio",
    "apply MODEL di.wav taken.wav": "taken.wav exists already",
    "apply MODEL di.wav new.xyz": "an audio file must end in .wav or .flac; got 'new.xyz'",
    "report tny --out new.html --storage ROOT": "did you mean 'tiny'?",
    "report tiny --out taken.html --storage ROOT": "taken.html exists already",
}


@pytest.fixture
def model(tiny_search: Search, place: Path) -> Path:
    """The best model, exported."""
    return tiny_search.export("safetensors", place)[0]


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    cli, root, place, model, monkeypatch, tmp_path_factory, command
):
    monkeypatch.setenv("FXSEARCH_CACHE", str(tmp_path_factory.mktemp("fresh")))  # none of the shards is known
    write_bad_inputs(place)
    before, before_root = tree(place), tree(root)
    arguments = command.replace("ROOT", str(root)).replace("MODEL", str(model))
    assert MISTAKES[command] in refusal(cli(*shlex.split(arguments)))
    assert tree(place) == before
    assert tree(root) == before_root


@pytest.mark.usefixtures("place")
def test_verify_names_the_corrupt_shard_and_still_shows_the_rest(cli):
    (shard,) = Path("store").glob("train-1*")
    shard.write_bytes(shard.read_bytes()[:-4])
    done = cli("inspect", "./store", "--verify")
    assert (done.code, done.err) == (2, "")
    assert f"shard {shard.name} is corrupt" in done.out
    done = cli("inspect", "./store", "--verify", "--json")
    assert done.code == 2
    (problem,) = json.loads(done.out)["problems"]
    assert shard.name in problem


@pytest.mark.usefixtures("place")
def test_a_name_of_digits_is_a_name(cli):
    line = refusal(cli("launch", "search.yaml", "--name", "2024", "--set", "data=./nowhere"))
    assert "no sample store at " in line


@pytest.mark.parametrize(
    "command",
    [
        "generate 1 1 --out new",
        "import di.wav amp.wav --out ./new",
        "import di.wav amp.wav --out ./store --overwrite",
        "apply MODEL di.wav new.wav",
        "apply MODEL di.wav new.flac",
        "apply MODEL di.wav amp.wav --overwrite",
        "export tiny --out new --storage ROOT",
        "export tiny --format nam --trial LSTM --out . --storage ROOT",
        "report tiny --out di.wav --overwrite --storage ROOT",
    ],
)
def test_a_full_disk_is_one_line_and_what_was_there_stays(
    cli, tiny_search, root, place, model, full_disk, command
):
    lstm = next(row.id for row in tiny_search.trials() if row.family == "lstm")
    before = tree(place)
    arguments = command.replace("ROOT", str(root)).replace("MODEL", str(model)).replace("LSTM", str(lstm))
    with full_disk(500):
        line = refusal(cli(*shlex.split(arguments)))
    assert "the disk is full" in line
    after = tree(place)
    kept = {path: after[path] for path in before}
    assert kept == before
    assert not [path for path, data in after.items() if data is not None and path not in before]


@pytest.mark.parametrize("options", [["--out", "./new"], ["--out", "./store", "--overwrite"]])
def test_a_render_that_filled_the_disk_goes_on_once_there_is_room(cli, place, full_disk, options):
    before = tree(place)
    with full_disk(500):
        assert "the disk is full" in refusal(cli("render", "recipe.yaml", *options))
    after = tree(place)
    assert {path: data for path, data in after.items() if not path.startswith(".")} == before
    succeed(cli("render", "recipe.yaml", *options))
    assert "3 shards verified" in succeed(cli("inspect", options[1], "--verify"))
    assert not [path for path in tree(place) if path.startswith(".")]


class Launched:
    """`fxsearch launch` in a process group of its own, as a shell gives it."""

    def __init__(self, root: Path, place: Path) -> None:
        command = [sys.executable, "-m", "search.cli", "launch", "search.yaml", "--storage", root]
        self.process = subprocess.Popen(
            command,
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job is deaf to it
        )

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float) -> Done:
        out, err = self.process.communicate(timeout=seconds)
        return Done(self.process.returncode, out, err)


@pytest.fixture
def launched(place: Path) -> Iterator[Callable[[Path], Launched]]:
    """Starts searches, and ends those that a failing test left running."""
    started: list[Launched] = []

    def start(root: Path) -> Launched:
        started.append(Launched(root, place))
        return started[-1]

    yield start
    for search in started:
        if search.process.poll() is None:
            search.process.kill()
            search.process.communicate()


@pytest.mark.slow
def test_ctrl_c_interrupts_a_search_that_the_same_command_resumes(cli, place, launched):
    changes = {"budget": {"trials": 2, "trial_steps": 3000}, "structured": False}
    spec = yaml.safe_load(Path("search.yaml").read_text()) | changes
    Path("search.yaml").write_text(yaml.safe_dump(spec))
    root = place / "runs"
    search = launched(root)
    limit = time.monotonic() + 120
    while not list(root.glob("searches/amp/checkpoints/*/*.safetensors")) and time.monotonic() < limit:
        time.sleep(0.1)
    board = json.loads(succeed(cli("board", "amp", "--json", "--storage", root)))
    assert board["state"] == "running"
    search.press_ctrl_c()
    done = search.wait(100)
    assert (done.code, done.err) == (130, "")
    assert "interrupted; the same command resumes 'amp'" in done.out
    board = json.loads(succeed(cli("board", "amp", "--json", "--storage", root)))
    assert board["state"] == "interrupted"
    assert "waiting" in {trial["state"] for trial in board["trials"]}
    done = launched(root).wait(200)
    assert (done.code, done.err) == (0, "")
    resumed = Search("amp", Storage(root))
    assert [row.state for row in resumed.trials()] == ["complete", "complete"]
    for row in resumed.trials():
        assert [report.index for report in resumed.study.reports(row.id)] == list(range(1, 10))
