"""Listening tests: what was answered, what it means, and where it is kept.

ABX in two forms. McCool's (2018): A is the dry and B the wet or the other way about, X is the model; is X
nearer to A or to B? A model succeeds where most say the wet. The stricter one: of A and B one is the wet and
one the model, X is either; who cannot tell is right half of the time. Both are judged by the exact binomial
test.

MUSHRA (ITU-R BS.1534-3): models, a hidden reference and a low-pass anchor are rated beside the wet.

What was heard in a report is saved by it as a file, which the search takes in.
"""

import csv
import fcntl
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, model_validator
from rich.table import Table
from rich.text import Text
from scipy import signal, stats

from fxcore.audio import Signal
from fxcore.errors import SpecError
from fxcore.spec import Registry, Spec

if TYPE_CHECKING:
    from search.searches import Search

ANCHOR_PASS_HZ, ANCHOR_STOP_HZ, ANCHOR_STOP_DB = 3500.0, 4000.0, 60.0
FILE = "listening.jsonl"  # one result a line, in the search's folder
COLUMNS = (
    *("finished", "listener", "test", "form", "model", "loop", "number"),
    *("a", "b", "x", "answer", "hit", "seconds", "sound", "rating"),
)
SOUND = r"^(dry|wet|anchor|trial-\d{1,9})$"

Sound: TypeAlias = Annotated[str, Field(pattern=SOUND)]
Words: TypeAlias = Annotated[str, Field(max_length=80)]


class Result(Spec):
    """What all listening tests tell."""

    kind: str
    loop: Words  # what was heard
    listener: Words = ""
    finished: Words = ""  # when, ISO 8601


class Answer(Spec):
    """One comparison: what A, B and X were, and which of them X was said to be (or to be nearer to)."""

    a: Sound
    b: Sound
    x: Sound
    answer: Literal["a", "b"]
    seconds: float = Field(0.0, ge=0.0, le=1e6)

    @property
    def chosen(self) -> str:
        return self.a if self.answer == "a" else self.b


class Abx(Result):
    """A run of comparisons of one model."""

    kind: Literal["abx"] = "abx"
    form: Literal["nearer", "strict"]
    model: Sound
    answers: tuple[Answer, ...] = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _what_was_compared(self) -> Self:
        for answer in self.answers:
            pair = {answer.a, answer.b}
            if self.form == "nearer" and (pair != {"dry", "wet"} or answer.x != self.model):
                raise ValueError(
                    f"in this form A and B are dry and wet, and X is {self.model}; got {answer!r}"
                )
            if self.form == "strict" and (pair != {"wet", self.model} or answer.x not in pair):
                raise ValueError(
                    f"in this form A and B are wet and {self.model}, and X either; got {answer!r}"
                )
        return self

    def correct(self, answer: Answer) -> bool:
        """Whether X was told; in the form of McCool, whether the model was nearer to the wet."""
        return answer.chosen == ("wet" if self.form == "nearer" else answer.x)

    @property
    def hits(self) -> int:
        return sum(self.correct(answer) for answer in self.answers)

    @property
    def p_value(self) -> float:
        """Of so many hits or more by chance."""
        return binomial_p(self.hits, len(self.answers))


class Mushra(Result):
    """Ratings from 0 (bad) to 100 (equal) of sounds beside the wet; the hidden reference is `wet`."""

    kind: Literal["mushra"] = "mushra"
    ratings: dict[Sound, Annotated[float, Field(ge=0.0, le=100.0)]] = Field(min_length=1, max_length=20)


TESTS: Registry[Result] = Registry("listening test", Abx, Mushra)


class SavedResults(Spec):
    """The results that a report saved as a file (JSON), and the search that it is of."""

    search: Words
    data: str  # digest of the store that it learns from
    results: tuple[Annotated[Result, *TESTS.field()], ...] = Field(min_length=1, max_length=10_000)

    @property
    def models(self) -> set[str]:
        """All trials that were heard."""
        tests = self.results
        rated = {sound for test in tests if isinstance(test, Mushra) for sound in test.ratings}
        compared = {test.model for test in tests if isinstance(test, Abx)}
        return compared | rated - {"dry", "wet", "anchor"}


def binomial_p(hits: int, trials: int) -> float:
    """Probability of `hits` or more of `trials` fair coins: the exact one-sided test.

    >>> round(binomial_p(9, 10), 4)
    0.0107
    """
    return float(stats.binomtest(hits, trials, 0.5, alternative="greater").pvalue)


def anchor(wet: Signal, sample_rate: int) -> Signal:
    """The wet (1, T) behind a 3.5 kHz low-pass without delay: MUSHRA's low anchor."""
    middle = (ANCHOR_PASS_HZ + ANCHOR_STOP_HZ) / 2
    width = (ANCHOR_STOP_HZ - ANCHOR_PASS_HZ) / (sample_rate / 2)
    n_taps, beta = signal.kaiserord(ANCHOR_STOP_DB, width)
    taps = signal.firwin(n_taps | 1, middle, window=("kaiser", beta), fs=sample_rate)
    return np.asarray(signal.fftconvolve(wet, taps[None], mode="full"), np.float32)[
        :, len(taps) // 2 : len(taps) // 2 + wet.shape[-1]
    ]


def keep(folder: Path, result: Result) -> None:
    """Add a result to those of the search in `folder`."""
    with (folder / FILE).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(_line(result))


def bring(search: "Search", path: Path) -> int:
    """Add the results in a file that a report of `search` saved to those it keeps; how many were new.

    Raises `SpecError` where the file is none, or is of another search.
    """
    saved = _read(path)
    if saved.search != search.name:
        raise SpecError(f"{path} is of the search '{saved.search}', not of '{search.name}'; name that one")
    trials = {f"trial-{row.id}" for row in search.trials()}
    if saved.data != search.study.store_digest or not saved.models <= trials:
        raise SpecError(f"{path} is of another search named '{search.name}', with other data or trials")
    with (search.folder / FILE).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = set(file)
        new = [line for line in dict.fromkeys(map(_line, saved.results)) if line not in known]
        file.writelines(new)
    return len(new)


def kept(folder: Path) -> list[Result]:
    """All results of the search in `folder`, the oldest first."""
    path = folder / FILE
    if not path.exists():
        return []
    return [TESTS.parse(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def to_csv(results: Sequence[Result]) -> str:
    """One line for each comparison and for each rating."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for result in results:
        head = [_text(result.finished), _text(result.listener), result.kind]
        if isinstance(result, Abx):
            for number, one in enumerate(result.answers, 1):
                line = [number, one.a, one.b, one.x, one.answer, int(result.correct(one)), one.seconds]
                writer.writerow([*head, result.form, result.model, _text(result.loop), *line, "", ""])
        elif isinstance(result, Mushra):
            for number, (sound, rating) in enumerate(result.ratings.items(), 1):
                writer.writerow([*head, "", "", _text(result.loop), number, *[""] * 6, sound, rating])
    return file.getvalue()


def results_table(results: Sequence[Result]) -> Table:
    """One line for each test, for people."""
    table = Table(box=None, pad_edge=False)
    for name in ("finished", "listener", "test", "sound", "result"):
        table.add_column(name)
    for result in results:
        head: tuple[Text, Text] = Text(result.finished), Text(result.listener)
        if isinstance(result, Abx):
            said = f"{result.hits} of {len(result.answers)}, p = {result.p_value:.3g}"
            table.add_row(*head, f"abx, {result.form}", result.model, said)
        elif isinstance(result, Mushra):
            for sound, rating in sorted(result.ratings.items(), key=lambda pair: -pair[1]):
                table.add_row(
                    *head, "mushra", "hidden reference" if sound == "wet" else sound, f"{rating:.0f}"
                )
    return table


def _line(result: Result) -> str:
    return json.dumps(result.as_dict(), separators=(",", ":")) + "\n"


def _read(path: Path) -> SavedResults:
    try:
        return SavedResults.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError):  # no text, or no JSON
        raise SpecError(f"{path} is no file of results that a report saved: it is not JSON") from None
    except SpecError as error:
        raise SpecError(f"{path} is no file of results that a report saved: {error}") from None


def _text(text: str) -> str:
    """What people typed in, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
