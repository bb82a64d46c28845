"""Launch a search, open it, look at it, take models out of it: what notebooks and the command line use.

from search import launch, open_search
search = launch("search.yaml")
search.leaderboard()               # a pandas frame, best first
search.export("nam", "models/")
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pandas as pd

from datasets.cache import cached_split
from datasets.manifest import SPLITS
from datasets.store import SampleStore
from fxcore.audio import Recording
from fxcore.errors import OutputExistsError, SearchError
from fxcore.export import FORMATS, Playable, export, formats_for, load
from fxcore.training import evaluate, to_device
from fxcore.yamlfile import load_yaml
from search.config import SearchSpec
from search.driver import Driver
from search.lock import driving, is_driven
from search.progress import Progress
from search.storage import Storage
from search.study import Study, TrialRow, recording


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
        rows = []
        for trial in self.trials():
            row = trial.model_dump(exclude={"config", "metrics"})
            settings = trial.config["model"]
            output = settings["output"]
            row |= {k: v for k, v in settings.items() if k not in ("kind", "output")}
            rows.append({**row, "output": output["kind"], "bits": output.get("bits"), **trial.metrics})
        return pd.DataFrame(rows).set_index("id") if rows else pd.DataFrame()

    def best(self) -> TrialRow:
        """The trial with the lowest objective; raises `SearchError` where none has a model yet."""
        for row in self._trained():
            return row
        for row in self.trials():
            if row.state in ("failed", "diverged"):
                raise SearchError(
                    f"search '{self.name}' has no trained model; trial {row.id} {row.state}: {row.reason}"
                )
        raise SearchError(f"search '{self.name}' has no trained model yet; wait for its first report")

    def playable(self, trial: int | None = None) -> Playable:
        """A trial's model (default: the best's) with its best weights, and what is known of it."""
        number = self.best().id if trial is None else trial
        path = self._checkpoint(number)
        if not path.exists():
            raise SearchError(
                f"trial {number} of '{self.name}' has no model: it has not reported yet, or failed"
            )
        playable = load(path)
        facts = {"name": f"{self.name}-{number}", "search": self.name, "trial": number}
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
        overwrite: bool = False,
    ) -> list[Path]:
        """Write a trial's model as `kind`, or as all formats that can hold it; returns the files.

        The default trial is the best, or for one format the best of those that it can hold.
        """
        playable = self.playable(trial)
        if trial is None and kind in FORMATS:
            models = (self.playable(row.id) for row in self._trained())
            playable = next((p for p in models if FORMATS[kind].refusal(p.model) is None), playable)
        kinds = formats_for(playable.model) if kind == "all" else [kind]
        folder = Path(out) if out else self.storage.models(self.name)
        stem = self.name if trial is None else str(playable.facts["name"])
        paths = {k: folder / f"{stem}{FORMATS[k].extension if k in FORMATS else ''}" for k in kinds}
        for path in paths.values():
            if path.exists() and not overwrite:
                raise OutputExistsError(path)
        return [export(playable, k, path, overwrite=overwrite) for k, path in paths.items()]

    def _trained(self) -> Iterator[TrialRow]:
        """Trials with a model, best first."""
        for row in self.trials():
            if row.metrics and row.state != "diverged" and self._checkpoint(row.id).exists():
                yield row

    def _checkpoint(self, trial: int) -> Path:
        identity = self.study.config(trial).identity(self.study.store_digest)
        return self.folder / "checkpoints" / f"{identity}.safetensors"


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
    with driving(folder), recording(folder / "study.db"):
        study = _open_or_create(folder, spec, store)
        if study.complete and study.spec == spec:
            progress.note(f"search '{spec.name}' is complete; a larger budget extends it")
        else:
            study.update_spec(spec)
            study.complete = False
            _run(Driver(study, store_uri, folder / "checkpoints", progress), engine, address)
            study.complete = True
    return Search(spec.name, where)


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
        return Study.create(database, spec, store.digest, store.manifest.sample_rate)
    study = Study.open(database, spec.name)
    if not study.spec.same_search(spec) or study.store_digest != store.digest:
        raise SearchError(
            f"a search '{spec.name}' with other settings or other data exists in {folder}; "
            "launch this one under another --name"
        )
    return study
