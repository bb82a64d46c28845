"""Command: any program that turns an audio file into another: sox, lv2apply, a DAW's batch mode, a script.

It runs what it is told, though never through a shell: take recipes only from people you trust. Programs
get 32-bit float, as lv2apply writes in the format that it reads, and a hot wet does not fit into 24 bit. sox
counts in integers all the same, and clips what goes beyond full scale inside: turn it down first (`gain -5`).
"""

import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from fxcore import audio
from fxcore.audio import Signal
from fxcore.effects.outside import OutsideEffect
from fxcore.effects.program import last_line, run_program
from fxcore.errors import AudioError, EffectError, did_you_mean

PLACEHOLDER = r"\{(\w+)\}"
PLACEHOLDERS = ("input", "output", "folder", "list", "python")


class Command(OutsideEffect):
    """A command line, split into words as a POSIX shell would; the words may hold placeholders.

    `{input}` is a 32-bit float WAV, `{output}` the WAV to write, and `{folder}` where both lie. A program
    that names its output itself may leave any one new .wav in `{folder}`. `{list}` is a text file that
    holds `list_text`, for a program that takes a list of files. `{python}` is this Python.

    Args:
        list_text: what `{list}` holds: one input a line, and whatever else the program wants there.
        environment: variables added to those that are set, such as LADSPA_PATH.
        channels: 2 hands over the dry on both channels; of what comes back, the left is kept.
    """

    kind: Literal["command"] = "command"
    command: str
    list_text: str = "{input}\n"
    environment: dict[Annotated[str, Field(pattern=r"^\w+$")], str] = {}
    channels: Literal[1, 2] = 1

    @field_validator("command")
    @classmethod
    def _splits_and_reads(cls, command: str) -> str:
        text = " ".join(shlex.split(command))
        if not {"input", "list"} & set(_placeholders(text)):
            raise ValueError(f"a command must hold {{input}} or {{list}}; got {command!r}")
        return command

    @field_validator("list_text")
    @classmethod
    def _lists_the_input(cls, list_text: str) -> str:
        if "input" not in _placeholders(list_text):
            raise ValueError(f"list_text must hold {{input}}; got {list_text!r}")
        return list_text

    @property
    def title(self) -> str:
        return f"command {Path(shlex.split(self.command)[0]).name.strip('{}')!r}"

    def play(self, dry: Signal, sample_rate: int) -> Signal:
        with tempfile.TemporaryDirectory(prefix="fxsearch-") as name:
            folder = Path(name).resolve()
            places = {
                "input": str(folder / "dry.wav"),
                "output": str(folder / "wet.wav"),
                "folder": str(folder),
                "list": str(folder / "list.txt"),
                "python": sys.executable,
            }
            audio.write(places["input"], np.repeat(dry, self.channels, axis=0), sample_rate)
            Path(places["list"]).write_text(_filled(self.list_text, places), "utf-8")
            run_program(
                [_filled(word, places) for word in shlex.split(self.command)],
                self.title,
                folder,
                timeout_seconds=self.timeout_seconds,
                environment=self.environment,
            )
            return self._read_wet(folder, sample_rate)

    def _read_wet(self, folder: Path, sample_rate: int) -> Signal:
        """The left channel (1, T) of the one file that the program wrote."""
        written = sorted(set(folder.rglob("*.wav")) - {folder / "dry.wav"})
        if len(written) != 1:
            names = ", ".join(str(path.relative_to(folder)) for path in written) or "none"
            raise EffectError(
                f"{self.title} must write {{output}}, or one .wav in {{folder}}; got {names}"
                f"{last_line(folder)}"
            )
        try:
            wet, wet_rate = audio.read(written[0])
        except AudioError as error:
            raise EffectError(f"{self.title} wrote no usable audio: {error}") from None
        if wet_rate != sample_rate:
            raise EffectError(
                f"{self.title} must keep the sample rate of {sample_rate} Hz; it wrote {wet_rate} Hz; "
                "give it the option that keeps it"
            )
        return wet[:1]


def _placeholders(template: str) -> list[str]:
    """Those in a template; raises `ValueError` for one that is not known."""
    names = re.findall(PLACEHOLDER, template)
    for name in names:
        if name not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {{{name}}}{did_you_mean(name, PLACEHOLDERS)}")
    return names


def _filled(template: str, places: dict[str, str]) -> str:
    return re.sub(PLACEHOLDER, lambda match: places[match[1]], template)
