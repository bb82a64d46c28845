"""Open a search, look at it, take models out of it: what notebooks and the command line use.

from search import open_search
search = open_search("amp")
search.leaderboard()               # a pandas frame, best first
search.export("nam", "models/")
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import optuna
import pandas as pd
import sqlalchemy as sa

from datasets.cache import cached_split
from datasets.folder import Folder
from datasets.store import SampleStore
from fxcore.audio import Recording
from fxcore.errors import ExportError, OutputExistsError, SearchError
from fxcore.export import FORMATS, Playable, at_rate, export, load, parts
from fxcore.export.naming import safe_name
from fxcore.training import evaluate, to_device
from search.checkpoints import Checkpoints
from search.config import SearchSpec
from search.driver import Driver
from search.lease import ask, held, holder_of
from search.progress import Progress
from search.record import Record
from search.speeds import with_speed
from search.storage import Storage
from search.study import NOT_RUN, WITHOUT_MODEL, Study, TrialRow


class Search:
    """A search on disk, running or not. Reading it disturbs nothing."""

    def __init__(self, name: str, storage: Storage) -> None:
        """Raises `SearchError` where there is no such search."""
        self.name, self.storage = name, storage
        self.folder = storage.existing_search(name)
        self.study = Study.open(storage.database(name), name)
        self.checkpoints = Checkpoints(storage.checkpoints(name))

    @property
    def spec(self) -> SearchSpec:
        """What was asked for."""
        return self.study.spec

    @property
    def state(self) -> str:
        """running, complete or interrupted."""
        if self._driven():
            return "running"
        return "complete" if self.study.complete else "interrupted"

    def _driven(self) -> bool:
        holder = holder_of(self.study.engine, self.name)
        return holder is not None and holder.drives

    @property
    def sample_rate(self) -> int:
        """Of its data and models, in Hz."""
        return self.study.sample_rate

    def trials(self) -> list[TrialRow]:
        """All trials, best first."""
        rows = self.study.board()
        if self.state != "running":  # nobody works on what was left running
            rows = [r.model_copy(update={"state": "waiting"}) if r.state == "running" else r for r in rows]
        return rows

    def leaderboard(self) -> pd.DataFrame:
        """All trials, best first: one row each, indexed by trial id."""
        rows = [trial.flat() for trial in self.trials()]
        return pd.DataFrame(rows).set_index("id") if rows else pd.DataFrame()

    def best(self) -> TrialRow:
        """The trial with the lowest objective; raises `SearchError` where none has a model yet."""
        for row in self._trained():
            return row
        for row in self.trials():
            if row.state in (*NOT_RUN, *WITHOUT_MODEL):
                raise SearchError(
                    f"search '{self.name}' has no trained model; trial {row.id} {row.state}: {row.reason}"
                )
        raise SearchError(f"search '{self.name}' has no trained model yet; wait for its first report")

    def playable(self, trial: int | None = None) -> Playable:
        """A trial's model (default: the best's) with its best weights, and what is known of it."""
        number = self.best().id if trial is None else trial
        path = self.checkpoint(number)
        if not path.exists():
            raise SearchError(
                f"trial {number} of '{self.name}' has no model: it has not reported yet, failed, or is not "
                f"among the best {self.spec.keep_models} that are kept"
            )
        playable = load(path)
        facts = {"name": f"{self.name}-{number}", "search": self.name, "trial": number}
        if ended := self.study.ended(number):
            facts["date"] = ended.isoformat(timespec="seconds")
        return playable._replace(facts={**facts, **playable.facts})

    def store(self) -> SampleStore:
        """The sample store it learns from."""
        return SampleStore.open(self.storage.store(self.spec.data))

    def recordings(self, split: Literal["train", "validation", "test"]) -> Sequence[Recording]:
        """A split of that store."""
        return cached_split(self.store(), split)

    def test_metrics(self, trial: int) -> dict[str, float]:
        """The metrics of a trial's best weights on the test split, which no decision has seen."""
        known = self.study.test_metrics(trial)
        if known is None:
            playable = self.playable(trial)
            known = evaluate(playable.model, to_device(self.recordings("test")), playable.sample_rate)
            if self.study.complete and not self._driven():  # else the trial may still go on
                with suppress(sa.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    self.study.record_test(
                        trial, known
                    )  # where it cannot be kept, it is known to us at least
        return known

    def export(
        self,
        kind: str = "all",
        out: Path | str | None = None,
        *,
        trial: int | None = None,
        sample_rate: int | None = None,
        overwrite: bool = False,
    ) -> list[Path | str]:
        """Write a trial's model as `kind`, or as all formats that can hold it; returns the files.

        The default trial is the best, or for one format the best of those that it can hold. A network with
        a tail becomes two files where the format has no place for the tail: it is the `ir`. `sample_rate`
        in Hz is the model's own, unless it is an impulse response.
        """
        chosen: Iterable[int] = [self.best().id if trial is None else trial]
        if trial is None and kind in FORMATS:
            chosen = (row.id for row in self._trained())
        pieces = self._pieces(kind, chosen, sample_rate)
        stem = self.name if trial is None else f"{self.name}-{trial}"
        files = {k: safe_name(f"{stem}{FORMATS[k].extension}") for k in pieces}
        folder = Folder.at(Path(out) if out else self.storage.models(self.name))
        for file in files.values():
            if not overwrite and file in folder.files():
                raise OutputExistsError(folder.below(file).uri)
        stream = {row.id: row.realtime_factor for row in self.trials()}
        for k, piece in pieces.items():
            pieces[k] = with_speed(piece, k, stream.get(piece.facts["trial"]), self.folder)
        if folder.local is not None:
            return [
                export(pieces[k], k, folder.local / file, overwrite=overwrite) for k, file in files.items()
            ]
        with tempfile.TemporaryDirectory() as scrap:
            for k, file in files.items():
                folder.replace(file, export(pieces[k], k, Path(scrap) / file).read_bytes())
        return [folder.below(file).uri for file in files.values()]

    def _pieces(self, kind: str, candidates: Iterable[int], sample_rate: int | None) -> dict[str, Playable]:
        """What to write, by format, of the first candidate that fits; else the first one's refusal."""
        refusals: list[ExportError] = []
        for number in candidates:
            playable = self.playable(number)
            try:
                playable = at_rate(playable, sample_rate or playable.sample_rate)
                if kind != "all":
                    return dict(parts(playable, kind))
                found: dict[str, Playable] = {}
                for each in FORMATS:
                    with suppress(ExportError):
                        found = {**dict(parts(playable, each)), **found}
                return found
            except ExportError as error:
                refusals.append(error)
        raise refusals[0]

    def _trained(self) -> Iterator[TrialRow]:
        """Trials with a model, best first."""
        for row in self.trials():
            if (
                row.metrics
                and row.state not in WITHOUT_MODEL
                and self.checkpoints.has(self.study.identity(row.id))
            ):
                yield row

    def checkpoint(self, trial: int) -> Path:
        """Where a trial's weights are once it has reported; raises `SearchError` for one that is unknown."""
        self.study.config(trial)  # raises where there is no such trial
        return self.checkpoints.path(self.study.identity(trial))

    def pause(self) -> None:
        """Ask its driver to end after the running trials' next reports; `resume` goes on from there."""
        if not self._driven():
            raise SearchError(f"search '{self.name}' is not running")
        ask(self.study.engine, self.name, "pause")

    def stop(self) -> None:
        """End it as it is: running trials count as far as they came; only `extend` goes on from there."""
        if self._driven():
            ask(self.study.engine, self.name, "stop")
            return
        with held(self.study.engine, self.name) as lease:
            record = Record(self.study, lease)
            Driver(record, self.spec.data, self.storage.checkpoints(self.name), Progress()).close()

    def status(self) -> dict[str, Any]:
        """How far it is, in plain values."""
        rows = self.trials()
        with_model = [row for row in rows if row.metrics and row.state not in WITHOUT_MODEL]
        best = with_model[0] if with_model else None
        holder = holder_of(self.study.engine, self.name)
        driven = holder is not None and holder.drives
        return {
            "search": self.name,
            "state": self.state,
            "host": holder.host if holder and driven else None,
            "process": holder.pid if holder and driven else None,
            "trials_wanted": self.study.trials_wanted,
            "trials": dict(Counter(row.state for row in rows)),
            "compute_seconds": sum(row.compute_seconds for row in rows),
            "best_trial": best.id if best else None,
            self.spec.objective: best.metrics[self.spec.objective] if best else None,
        }

    def log(self) -> str:
        """What happened so far, a line each: trials that began and ended, and what a person should know."""
        return "".join(f"{at:%Y-%m-%d %H:%M:%S}  {text}\n" for at, text in self.study.log())


def open_search(name: str, storage: Path | str | None = None) -> Search:
    """An existing search by name; raises `SearchError` with near matches."""
    return Search(name, Storage(storage))
