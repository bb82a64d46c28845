"""Runs another program to its end: no shell, no input, no longer than allowed, and nothing left behind."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fxcore.errors import EffectError

LOG = "errors.txt"
TAIL_BYTES = 4096  # some plug-ins print without end
LONGEST_REASON = 300  # characters


def run_program(
    words: Sequence[str],
    title: str,
    folder: Path,
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `words`, whose errors go to a file in `folder`; `environment` is added to this process's own.

    Raises `EffectError` where it cannot start, fails, crashes or takes too long: all it started is killed.
    """
    with (folder / LOG).open("wb") as errors:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # a group of its own, to be killed as one
            )
        except (OSError, ValueError) as error:
            raise EffectError(
                f"{title} could not start ({error}); install {words[0]!r}, or give its path"
            ) from None
        try:
            code = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise EffectError(
                f"{title} must end within {timeout_seconds:g} s and was stopped{last_line(folder)}; "
                "raise timeout_seconds if it needs longer"
            ) from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code < 0:
        raise EffectError(f"{title} crashed ({signal.strsignal(-code)}){last_line(folder)}")
    if code > 0:
        raise EffectError(f"{title} failed with exit code {code}{last_line(folder)}")


def last_line(folder: Path) -> str:
    """`: ` and what the program that ran in `folder` said last, or nothing."""
    with (folder / LOG).open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
        lines = file.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return f": {said[-1][:LONGEST_REASON]}" if said else ""
