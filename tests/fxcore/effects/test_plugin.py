import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxcore.effects import EFFECTS
from fxcore.effects.plugin import Plugin
from fxcore.errors import EffectError

SAMPLE_RATE = 44_100
VST3 = Path("/usr/lib/vst3")
DRY = np.random.default_rng(0).uniform(-0.5, 0.5, (1, SAMPLE_RATE)).astype(np.float32)


def zamdelay(**parameters: bool | float | str) -> Plugin:
    return Plugin(path=str(VST3 / "ZamDelay.vst3"), parameters=parameters)


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(EffectError, match=r"must be a \.vst3 file or folder; .*no\.vst3 does not exist"):
        Plugin(path=str(tmp_path / "no.vst3"))(DRY, SAMPLE_RATE)


def test_a_file_that_is_no_plug_in_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.vst3").write_text("not a plug-in")
    with pytest.raises(
        EffectError, match=r"^plug-in 'text\.vst3' failed with exit code 1: .*unsupported"
    ) as error:
        Plugin(path=str(tmp_path / "text.vst3"))(DRY, SAMPLE_RATE)
    assert "\n" not in str(error.value)


def test_a_plug_in_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "text.vst3").write_text("not a plug-in")
    with pytest.raises(EffectError, match=r"must end within 0\.01 s"):
        Plugin(path=str(tmp_path / "text.vst3"), timeout_seconds=0.01)(DRY, SAMPLE_RATE)


def test_without_pedalboard_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.vst3").write_text("not a plug-in")
    monkeypatch.setitem(sys.modules, "pedalboard", None)  # Python's own way to forbid an import
    with pytest.raises(EffectError, match=r"needs pedalboard.*pip install 'fxsearch\[effects\]'"):
        Plugin(path=str(tmp_path / "text.vst3"))(DRY, SAMPLE_RATE)


def test_the_host_that_a_plug_in_runs_in_imports_little() -> None:
    code = (
        "import sys, fxcore.plugin_host; sys.exit(not {'pydantic', 'scipy', 'soxr'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("value", "kind"), [(1, float), (2.5, float), (True, bool), ("Zero", str)])
def test_parameters_keep_their_types(value: Any, kind: type) -> None:
    parsed = EFFECTS.parse({"kind": "plugin", "path": "a.vst3", "parameters": {"knob": value}})
    assert isinstance(parsed, Plugin)
    assert parsed.parameters == {"knob": value}
    assert type(parsed.parameters["knob"]) is kind


@pytest.mark.hosts
def test_a_parameter_that_the_plug_in_rounds_is_read_back_and_heard() -> None:
    effect = zamdelay(time_ms=350, dry_wet=0.5, invert=True)
    played = effect.as_played(SAMPLE_RATE)
    assert effect.parameters["time_ms"] == 350
    assert played["parameters"]["time_ms"] == pytest.approx(352.956, abs=0.001)
    assert played["parameters"]["invert"] == 1.0
    assert played["parameters"]["lpf_hz"] == 6_000  # as the plug-in has it
    assert (played["name"], played["latency_samples"]) == ("ZamDelay", 0)
    wet = effect(0.5 * np.eye(1, SAMPLE_RATE, dtype=np.float32), SAMPLE_RATE)[0]
    assert np.flatnonzero(np.abs(wet) > 1e-3)[1] == int(0.352956 * SAMPLE_RATE)


@pytest.mark.hosts
def test_an_unknown_or_impossible_parameter_is_refused() -> None:
    with pytest.raises(EffectError, match="unknown parameter 'time'; did you mean 'time_ms'"):
        zamdelay(time=350)(DRY, SAMPLE_RATE)
    with pytest.raises(EffectError, match=r"'time_ms' \(9000\.0\) is out of range \[1\.0ms, 8000\.0ms\]"):
        zamdelay(time_ms=9_000)(DRY, SAMPLE_RATE)
    with pytest.raises(EffectError, match=r"not in list of valid values: \['Zero'\]"):
        zamdelay(current_program="One")(DRY, SAMPLE_RATE)


@pytest.mark.hosts
def test_an_echo_alone_is_kept_where_the_latency_is_given() -> None:
    echo = zamdelay(time_ms=350, dry_wet=1)
    with pytest.raises(
        EffectError, match="353 ms late, which may be an echo; give latency_samples: 0 to keep it"
    ):
        echo(DRY, SAMPLE_RATE)
    assert np.abs(echo.model_copy(update={"latency_samples": 0})(DRY, SAMPLE_RATE)[:, :15_000]).max() < 1e-6


@pytest.mark.hosts
def test_a_plug_in_in_stereo_alone_plays_mono() -> None:
    wet = Plugin(path=str(VST3 / "ZaMaximX2.vst3"))(DRY, SAMPLE_RATE)  # a limiter that looks ahead
    assert np.abs(wet - DRY).max() < 1e-3


@pytest.mark.hosts
def test_silence_first_lets_the_valves_settle() -> None:
    tube = Plugin(path=str(VST3 / "ZamTube.vst3"))
    settled = tube(np.pad(DRY, [(0, 0), (SAMPLE_RATE, 0)]), SAMPLE_RATE)[:, SAMPLE_RATE:]
    at_once = tube.model_copy(update={"pre_roll_ms": 0.0, "latency_samples": 0})(DRY, SAMPLE_RATE)
    error, error_at_once = (np.linalg.norm(wet - settled) for wet in (tube(DRY, SAMPLE_RATE), at_once))
    assert error < 0.01 * np.linalg.norm(settled)
    assert error_at_once > 10 * error


@pytest.mark.hosts
def test_a_plug_in_that_crashes_takes_nothing_with_it(tmp_path: Path) -> None:
    bundle = tmp_path / "ZamDelay.vst3"
    shutil.copytree(VST3 / "ZamDelay.vst3", bundle, symlinks=False)
    library = next(bundle.rglob("*.so"))
    data = bytearray(library.read_bytes())
    headers, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for at in range(headers, headers + 56 * count, 56):  # ELF segments
        flags, offset, size = struct.unpack_from("<4xIQ16xQ", data, at)
        if flags & 1:  # code
            data[offset : offset + size] = b"\x0f\x0b" * (size // 2) + b"\x90" * (size % 2)  # no instruction
    library.write_bytes(data)
    with pytest.raises(EffectError, match=r"plug-in 'ZamDelay\.vst3' crashed \(Illegal instruction\)"):
        Plugin(path=str(bundle))(DRY, SAMPLE_RATE)
