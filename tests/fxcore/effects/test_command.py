import fcntl
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxcore.audio import Signal
from fxcore.effects import EFFECTS
from fxcore.effects.chain import Chain
from fxcore.effects.command import Command
from fxcore.effects.distortion import Distortion
from fxcore.errors import EffectError, SpecError

SAMPLE_RATE = 44_100
READ = "import sys, numpy as np, soundfile as sf; dry, rate = sf.read(sys.argv[1], dtype='float32'); "
WRITE = "; sf.write(sys.argv[2], wet, rate, subtype='FLOAT')"
COPY = f"{READ}wet = dry{WRITE}"
LADSPA = {"LADSPA_PATH": "/usr/lib/ladspa"}
SOX = "sox {input} -b 32 -e float {output} gain -5 ladspa "


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files whose name has spaces and quotes; nothing stays in it."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def python(code: str, **settings: Any) -> Command:
    return Command(command=f"{{python}} -c {shlex.quote(code)} {{input}} {{output}}", **settings)


def script(wet: str, **settings: Any) -> Command:
    """A command that writes what the expression `wet` makes of `dry`, a NumPy array."""
    return python(f"{READ}wet = {wet}{WRITE}", **settings)


def noise(n_samples: int = 3_000, level: float = 0.5) -> Signal:
    return np.random.default_rng(0).uniform(-level, level, (1, n_samples)).astype(np.float32)


def test_samples_far_above_full_scale_come_back_exactly() -> None:
    assert np.array_equal(script("dry")(noise(level=20.0), SAMPLE_RATE), noise(level=20.0))


def test_a_latency_is_measured_and_removed() -> None:
    late = script("np.pad(dry, (137, 0))[:-137]")
    assert late.latency(SAMPLE_RATE) == 137
    assert late.as_played(SAMPLE_RATE) == {**late.as_dict(), "latency_samples": 137}
    assert np.array_equal(late(noise(), SAMPLE_RATE), noise())


def test_a_wet_that_comes_early_is_put_in_its_place() -> None:
    early = script("dry[137:]", pre_roll_ms=0.0)
    assert early.latency(SAMPLE_RATE) == -137
    assert np.array_equal(early(noise(), SAMPLE_RATE), noise())


def test_a_latency_hides_neither_in_hum_nor_in_offset_nor_behind_its_echo() -> None:
    hum = "0.05 + 0.005 * np.sin(np.arange(len(dry)) / 100)"
    echo = "0.9 * np.roll(dry, 3000) - 0.3 * np.roll(dry, 40)"
    assert script(f"{hum} + {echo}").latency(SAMPLE_RATE) == 40


def test_a_given_latency_is_removed_unmeasured(tmp_path: Path) -> None:
    log = tmp_path / "log"
    counted = f"{READ}open({str(log)!r}, 'a').write('.'); wet = np.roll(dry, 30){WRITE}"
    assert np.array_equal(python(counted, latency_samples=30)(noise(), SAMPLE_RATE), noise())
    assert log.read_text("utf-8") == "."
    measured = python(counted)
    for level in (0.1, 0.2, 0.3):
        assert np.array_equal(measured(noise(level=level), SAMPLE_RATE), noise(level=level))
    assert log.read_text("utf-8") == "." + "." + "..."  # one impulse for all that follows


def test_an_echo_alone_is_not_taken_for_a_latency() -> None:
    echo = {"wet": "np.pad(dry, (15000, 0))[:len(dry)]"}
    with pytest.raises(EffectError, match=r"340 ms late.* give latency_samples: 0 to keep it, or 15000 to"):
        script(**echo)(noise(), SAMPLE_RATE)
    kept = script(**echo, latency_samples=0)(noise(20_000), SAMPLE_RATE)
    assert np.array_equal(kept[:, 15_000:], noise(20_000)[:, :5_000])


def test_silence_before_and_after_is_played_and_cut_off() -> None:
    settling = script("dry * (np.arange(len(dry)) >= 400)", latency_samples=0)
    assert np.array_equal(settling(noise(), 8_000), noise())
    at_once = settling.model_copy(update={"pre_roll_ms": 0.0})
    assert not at_once(noise(), 8_000)[:, :400].any()
    cut = script("dry[:-64]", pre_roll_ms=0.0, post_roll_ms=8.0, latency_samples=0)
    assert np.array_equal(cut(noise(), 8_000), noise())


def test_a_stereo_host_gets_the_dry_twice_and_its_left_is_kept() -> None:
    assert np.array_equal(script("dry * [1, 0]", channels=2)(noise(), SAMPLE_RATE), noise())
    assert np.array_equal(script("np.stack([dry, 0 * dry], 1)")(noise(), SAMPLE_RATE), noise())


def test_a_longer_wet_has_a_tail_which_is_cut() -> None:
    assert np.array_equal(script("np.pad(dry, (0, 9000))")(noise(), SAMPLE_RATE), noise())


def test_a_list_names_the_input_and_the_output_may_have_any_name() -> None:
    batch = (
        "import sys, soundfile as sf; file, out = open(sys.argv[1]).read().splitlines(); "
        "dry, rate = sf.read(file, dtype='float32'); "
        "sf.write(out.split('=')[1] + '/dry-fx.wav', dry[5:], rate, subtype='FLOAT')"
    )
    effect = Command(
        command=f"{{python}} -c {shlex.quote(batch)} {{list}}", list_text="{input}\nOUTPATH={folder}\n"
    )
    assert np.array_equal(effect(noise(), SAMPLE_RATE), noise())


def test_variables_are_added_to_those_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAIN", "9")
    monkeypatch.setenv("SHIFT", "3")
    gain = f"import os; {READ}wet = float(os.environ['GAIN']) * np.roll(dry, int(os.environ['SHIFT'])){WRITE}"
    effect = python(gain, environment={"GAIN": "0.5"})
    assert effect.latency(SAMPLE_RATE) == 3
    assert np.array_equal(effect(noise(), SAMPLE_RATE), noise() / 2)


def test_no_shell_reads_the_words() -> None:
    quiet = python("import sys; sys.exit(sys.argv[3])")
    words = quiet.model_copy(update={"command": quiet.command + " '$HOME; $(id) | *'"})
    with pytest.raises(EffectError, match=r"exit code 1: \$HOME; \$\(id\) \| \*$"):
        words(noise(), SAMPLE_RATE)


SAYS = "import sys; sys.stderr.write({}); sys.exit(3)"
FAILURES = {
    "crash": ("import os; os.kill(os.getpid(), 11)", r"crashed \(Segmentation fault\)$"),
    "abort": ("import os; os.abort()", r"crashed \(Aborted\)$"),
    "exit code": (SAYS.format(r"'first\nno such plug-in\n\n'"), "exit code 3: no such plug-in$"),
    "endless talk": (SAYS.format("'x' * 10**6"), "exit code 3: x{300}$"),
    "no file": ("pass", r"must write \{output\}, or one \.wav in \{folder\}; got none$"),
    "two files": (f"{COPY}; sf.write(sys.argv[2] + '2.wav', dry, rate)", r"got wet\.wav, wet\.wav2\.wav$"),
    "no audio": ("import sys; open(sys.argv[2], 'w')", r"wrote no usable audio: .*wet\.wav cannot be read"),
    "half": (f"{READ}wet = dry[::2]{WRITE}", "must keep the length.*it gave .*; set channels: 2"),
    "rate": (f"{READ}rate, wet = 48000, dry{WRITE}", "keep the sample rate of 44100 Hz; it wrote 48000 Hz"),
    "NaN": (f"{READ}wet = dry; wet[9] = np.nan{WRITE}", "no usable audio: .* 1 NaN or infinite samples"),
    "silence": (f"{READ}wet = 0 * dry{WRITE}", "gave silence; check its levels, inputs and outputs$"),
    "noise": (f"{READ}wet = np.sin(np.arange(len(dry))){WRITE}", "above its noise.*; give latency_samples$"),
}


@pytest.mark.parametrize(("code", "message"), FAILURES.values(), ids=FAILURES)
def test_a_program_that_fails_is_named_with_its_last_words(code: str, message: str) -> None:
    with pytest.raises(EffectError, match=f"^command 'python' .*{message}"):
        python(code)(noise(), SAMPLE_RATE)


def test_a_program_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    hold = (
        f"import fcntl, time; file = open({str(lock)!r}, 'w'); "
        "fcntl.flock(file, fcntl.LOCK_EX); print(1); time.sleep(900)"
    )
    code = (
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-uc', {hold!r}], stdout=-1); "
        "child.stdout.read(1); sys.stderr.write('waiting for a licence'); sys.stderr.flush(); child.wait()"
    )
    with pytest.raises(
        EffectError, match=r"must end within 1\.5 s and was stopped: waiting for a licence; raise"
    ):
        python(code, timeout_seconds=1.5)(noise(), SAMPLE_RATE)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # would wait for the child


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(EffectError, match=r"command 'soxx' could not start.*; install '/opt/soxx'"):
        Command(command="/opt/soxx {input} {output}")(noise(), SAMPLE_RATE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": ""}, "must hold {input} or {list}; got ''"),
        ({"command": "sox {input} '"}, "No closing quotation"),
        ({"command": "sox in.wav {output}"}, "must hold {input} or {list}; got 'sox in.wav {output}'"),
        ({"command": "sox {input} {ouput}"}, "unknown placeholder {ouput}; did you mean 'output'"),
        (
            {"command": "reaper {list}", "list_text": "{output}"},
            "list_text must hold {input}; got '{output}'",
        ),
        ({"command": "sox {input}", "environment": {"A=B": "c"}}, "environment"),
        ({"command": "sox {input}", "chanels": 2}, "unknown key 'chanels'; did you mean 'channels'"),
    ],
)
def test_a_mistake_is_refused_before_anything_runs(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        EFFECTS.parse({"kind": "command", **settings})
    assert message in str(error.value)


def test_a_command_plays_in_a_chain_and_says_there_how_it_played() -> None:
    chain = Chain(effects=(Distortion(drive_db=20), script("np.roll(dry, 9)")))
    assert np.array_equal(chain(noise(), SAMPLE_RATE), Distortion(drive_db=20)(noise(), SAMPLE_RATE))
    assert [played.get("latency_samples") for played in chain.as_played(SAMPLE_RATE)["effects"]] == [None, 9]


@pytest.mark.hosts
def test_a_ladspa_chorus_in_sox_varies_with_time_and_repeats() -> None:
    chorus = Command(command=SOX + "caps ChorusI 14 4 0.9 0.6 0.7 0", environment=LADSPA)
    assert chorus.latency(SAMPLE_RATE) == 0
    dry = noise(SAMPLE_RATE)
    wet = chorus(dry, SAMPLE_RATE)
    assert np.array_equal(wet, chorus(dry, SAMPLE_RATE))
    later = chorus(np.pad(dry, [(0, 0), (10_000, 0)]), SAMPLE_RATE)[:, 10_000:]
    assert np.linalg.norm(later - wet) > 0.2 * np.linalg.norm(wet)


@pytest.mark.hosts
def test_a_ladspa_plug_in_with_two_inputs_needs_two_channels() -> None:
    reverb = Command(command=SOX + "tap_reverb tap_reverb 2500 0 -10 1 1 1 1 1", environment=LADSPA)
    with pytest.raises(EffectError, match=r"must keep the length.*it gave \d+; set channels: 2"):
        reverb(noise(), SAMPLE_RATE)
    wet = reverb.model_copy(update={"channels": 2})(np.pad(noise(), [(0, 0), (0, SAMPLE_RATE)]), SAMPLE_RATE)
    assert np.abs(wet[:, SAMPLE_RATE:]).max() > 1e-4  # the room goes on


@pytest.mark.hosts
def test_a_pitch_shifter_that_does_not_report_its_latency_is_aligned() -> None:
    octave = "ladspa-rubberband rubberband-pitchshifter-mono 0 -12 0 5 0"
    shifter = Command(command=SOX + octave, environment=LADSPA)
    assert shifter.latency(SAMPLE_RATE) == pytest.approx(6_438, abs=100)
    wet = shifter(np.pad(noise(), [(0, 0), (SAMPLE_RATE, 0)]), SAMPLE_RATE)[0]
    onset = int(np.argmax(np.abs(wet) > 0.05 * np.abs(wet).max()))
    assert abs(onset - SAMPLE_RATE) < 0.02 * SAMPLE_RATE


@pytest.mark.hosts
def test_an_lv2_plug_in_in_lv2apply_keeps_what_is_above_full_scale() -> None:
    uri = "http://drobilla.net/plugins/mda/Overdrive"
    clean, driven = (
        Command(command=f"lv2apply -i {{input}} -o {{output}} -c drive {drive} {uri}") for drive in (0.0, 1.0)
    )
    assert np.abs(clean(noise(level=3.0), SAMPLE_RATE) - noise(level=3.0)).max() < 1e-6
    assert np.linalg.norm(driven(noise(), SAMPLE_RATE) - noise()) > 0.1 * np.linalg.norm(noise())


@pytest.mark.hosts
def test_the_words_of_a_real_host_reach_the_error() -> None:
    with pytest.raises(
        EffectError, match="command 'sox' failed with exit code 1: sox FAIL ladspa: no plugin called `Nope'"
    ):
        Command(command=SOX + "caps Nope 1", environment=LADSPA)(noise(), SAMPLE_RATE)
