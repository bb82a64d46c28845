"""Errors that a caller can cause, each with one line for people.

FxError                     anything below; the command line prints it and exits with 2
├── AudioError              a file or signal that cannot be used
│   └── PairError           a dry and a wet that cannot be a pair
├── SpecError               a configuration with an unknown key, kind or value
├── EffectError             an effect that cannot run or gave unusable audio
├── StoreError              a sample store that is missing, foreign or corrupt
├── CheckpointError         a checkpoint that is missing, foreign or corrupt
│   └── NotKeptError        a checkpoint that could not be written
├── TooLargeError           a model that does not fit into memory
├── ExportError             a model that a format cannot hold, or a file that differs from its model
├── SearchError             a search that is unknown or cannot go on
└── OutputExistsError       an output that is there already

Every message states the rule, then the value received, then the remedy.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class FxError(Exception):
    """Base of every error that a user can mend."""


class AudioError(FxError):
    """A file or signal that cannot be used as audio."""


class PairError(AudioError):
    """A dry and a wet recording that cannot belong together."""


class SpecError(FxError):
    """A configuration with an unknown key, kind or value; `path` leads to the key."""

    def __init__(self, message: str, path: Sequence[int | str] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)


class EffectError(FxError):
    """An effect that cannot run, or whose output is unusable."""


class StoreError(FxError):
    """A sample store that is missing, of another version, or corrupt."""


class CheckpointError(FxError):
    """A checkpoint that is missing, of another configuration, or corrupt."""


class NotKeptError(CheckpointError):
    """A checkpoint that could not be written; the one before is still there."""


class TooLargeError(FxError):
    """A model that does not fit into the memory of its device."""


class ExportError(FxError):
    """A model that a format cannot hold, or a written file that differs from its model."""


class SearchError(FxError):
    """A search that is unknown, or cannot go on."""


class OutputExistsError(FxError):
    """An output that exists already and may not be overwritten."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} exists already; give another place, or --overwrite to replace it")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of an error message: the nearest known names, else all of them.

    >>> did_you_mean("fuz", ["fuzz", "delay"])
    "; did you mean 'fuzz'?"
    >>> did_you_mean("zzz", ["fuzz", "delay"])
    '; known: delay, fuzz'
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "; known: " + (", ".join(names) if names else "none")
