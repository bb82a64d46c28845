"""Launch a search, open it, look at it, take models out of it: what notebooks and the command line use.

from search import launch, open_search
search = launch("search.yaml")
search.leaderboard()               # a pandas frame, best first
search.export("nam", "models/")
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich.console import Console

from datasets.cache import cached_split
from datasets.manifest import SPLITS
from datasets.store import SampleStore
from fxcore.audio import Recording
from fxcore.errors import ExportError, OutputExistsError, SearchError
from fxcore.export import FORMATS, Playable, at_rate, export, load, parts
from fxcore.export.naming import safe_name
from fxcore.training import evaluate, to_device
from fxcore.yamlfile import apply_override, load_yaml
from search.config import SearchSpec
from search.control import ask, asked, listening
from search.driver import Driver
from search.lock import driver_of, driving, is_driven
from search.progress import Lines, Progress, Several
from search.routing import first_models
from search.storage import Storage
from search.study import WITHOUT_MODEL, Study, TrialRow, recording

LOG = "search.log"


class Search:
    """A search on disk, running or not. Reading it disturbs nothing."""

    def __init__(self, name: str, storage: Storage) -> None:
        """Raises `SearchError` where there is no such search."""
        self.name, self.storage = name, storage
        self.folder = storage.existing_search(name)
        self.study = Study.open(self.folder / "study.db", name)

    @property
    def spec(self) -> SearchSpec:
        """What was asked for."""
        return self.study.spec

    @property
    def state(self) -> str:
        """running, complete or interrupted."""
        if is_driven(self.folder):
            return "running"
        return "complete" if self.study.complete else "interrupted"

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
            if row.state in ("failed", *WITHOUT_MODEL):
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
                f"trial {number} of '{self.name}' has no model: it has not reported yet, or failed"
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
            if self.study.complete and not is_driven(self.folder):  # else the trial may still go on
                with suppress(SearchError), recording(self.folder / "study.db"):  # known to us at least
                    self.study.record_test(trial, known)
        return known

    def export(
        self,
        kind: str = "all",
        out: Path | str | None = None,
        *,
        trial: int | None = None,
        sample_rate: int | None = None,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write a trial's model as `kind`, or as all formats that can hold it; returns the files.

        The default trial is the best, or for one format the best of those that it can hold. A network with
        a tail becomes two files where the format has no place for the tail: it is the `ir`. `sample_rate`
        in Hz is the model's own, unless it is an impulse response.
        """
        candidates = (
            [trial] if trial is not None or kind not in FORMATS else [row.id for row in self._trained()]
        )
        pieces = self._pieces(kind, candidates or [None], sample_rate)
        folder = Path(out) if out else self.storage.models(self.name)
        stem = self.name if trial is None else f"{self.name}-{trial}"
        paths = {k: folder / safe_name(f"{stem}{FORMATS[k].extension}") for k in pieces}
        for path in paths.values():
            if path.exists() and not overwrite:
                raise OutputExistsError(path)
        return [export(pieces[k], k, path, overwrite=overwrite) for k, path in paths.items()]

    def _pieces(
        self, kind: str, candidates: Sequence[int | None], sample_rate: int | None
    ) -> dict[str, Playable]:
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
            if row.metrics and row.state not in WITHOUT_MODEL and self.checkpoint(row.id).exists():
                yield row

    def checkpoint(self, trial: int) -> Path:
        """Where a trial's weights are once it has reported; raises `SearchError` for one that is unknown."""
        self.study.config(trial)  # raises where there is no such trial
        return self.folder / "checkpoints" / f"{self.study.identity(trial)}.safetensors"

    def pause(self) -> None:
        """Ask its driver to end after the running trials' next reports; `resume` goes on from there."""
        if not is_driven(self.folder):
            raise SearchError(f"search '{self.name}' is not running")
        ask(self.folder, "pause")

    def stop(self) -> None:
        """End it as it is: running trials count as far as they came; only `extend` goes on from there."""
        if is_driven(self.folder):
            ask(self.folder, "stop")
            return
        with driving(self.folder), recording(self.folder / "study.db"):
            Driver(self.study, self.spec.data, self.folder, Progress()).close()

    def status(self) -> dict[str, Any]:
        """How far it is, in plain values."""
        rows = self.trials()
        with_model = [row for row in rows if row.metrics and row.state not in WITHOUT_MODEL]
        best = with_model[0] if with_model else None
        holder = driver_of(self.folder) if self.state == "running" else {}
        return {
            "search": self.name,
            "state": self.state,
            "host": holder.get("host"),
            "process": holder.get("pid"),
            "trials_wanted": self.study.trials_wanted,
            "trials": dict(Counter(row.state for row in rows)),
            "compute_seconds": sum(row.compute_seconds for row in rows),
            "best_trial": best.id if best else None,
            self.spec.objective: best.metrics[self.spec.objective] if best else None,
        }

    def log(self) -> str:
        """What happened so far, a line each: trials that began and ended, and what a person should know."""
        path = self.folder / LOG
        return path.read_text() if path.exists() else ""


def open_search(name: str, storage: Path | str | None = None) -> Search:
    """An existing search by name; raises `SearchError` with near matches."""
    return Search(name, Storage(storage))


def launch(
    spec: SearchSpec | Path | str,
    *,
    name: str | None = None,
    storage: Path | str | None = None,
    address: str | None = None,
    engine: Literal["ray", "local"] = "ray",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Search:
    """Run a search to its end, or resume it where it was; returns the search.

    `spec` is a `SearchSpec` or the path of its YAML file. A search of the same name goes on if nothing
    but its budget or resources changed; else a `SearchError` says so. A complete one is left as it is,
    unless they did. An interrupt (Ctrl-C) leaves a search that `launch` resumes.
    """
    progress = progress or Progress()
    if not isinstance(spec, SearchSpec):
        changes = [*overrides, *([f"name={json.dumps(name)}"] if name else [])]
        spec = load_yaml(spec, SearchSpec, changes)
    where = Storage(storage)
    store_uri = where.store(spec.data)
    store = SampleStore.open(store_uri)
    for split in SPLITS:  # a corrupt store is refused before there is a search
        cached_split(store, split)
    folder = where.search(spec.name)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    with driving(folder), recording(folder / "study.db"), _log(folder) as log:
        study = _open_or_create(folder, spec, store)
        if study.complete and study.spec == spec:
            progress.note(f"search '{spec.name}' is complete; a larger budget extends it")
        else:
            study.update_spec(spec)
            study.complete = False
            driver = Driver(study, store_uri, folder, Several(progress, Lines(spec, log)))
            with listening(folder, driver.progress):
                _run(driver, engine, address)
                if asked(folder) != "pause":
                    driver.close()
    return Search(spec.name, where)


def resume(
    name: str,
    *,
    storage: Path | str | None = None,
    address: str | None = None,
    engine: Literal["ray", "local"] = "ray",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Search:
    """Launch a search again by its name, as it was asked for but for the `overrides`; see `launch`."""
    values = open_search(name, storage).spec.as_dict()
    for override in overrides:
        apply_override(values, override)
    spec = SearchSpec.from_dict(values)
    return launch(spec, storage=storage, address=address, engine=engine, progress=progress)


@contextmanager
def _log(folder: Path) -> Iterator[Console]:
    with (folder / LOG).open("a", encoding="utf-8") as file:
        yield Console(file=file, width=1000)


def _run(driver: Driver, engine: str, address: str | None) -> None:
    if engine == "local":
        from search.engine import local

        local.run(driver)
    else:
        from search.engine import ray_tune  # importing Ray takes seconds; nothing else needs it

        ray_tune.run(driver, address)


def _open_or_create(folder: Path, spec: SearchSpec, store: SampleStore) -> Study:
    """The study of that name where it is the same search, a new one where there is none."""
    database = folder / "study.db"
    if not database.exists():
        manifest = store.manifest
        first = first_models(manifest, spec)
        return Study.create(database, spec, store.digest, manifest.sample_rate, first)
    study = Study.open(database, spec.name)
    if not study.spec.same_search(spec) or study.store_digest != store.digest:
        raise SearchError(
            f"a search '{spec.name}' with other settings or other data exists in {folder}; "
            "launch this one under another --name"
        )
    return study
