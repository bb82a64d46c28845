"""Launch a search, or resume it: from its YAML file to its driver on an engine."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datasets.cache import cached_split
from datasets.manifest import SPLITS
from datasets.store import SampleStore
from fxcore.errors import SearchError
from fxcore.yamlfile import apply_override, load_yaml
from search.config import SearchSpec, TrialConfig
from search.driver import Driver
from search.interrupts import gentle_interrupts
from search.lease import Request, held
from search.progress import Lines, Progress, Several
from search.record import Record
from search.references import dry_metrics
from search.routing import first_models
from search.searches import Search, open_search
from search.storage import Storage
from search.study import WITHOUT_MODEL, Start, Study


def launch(
    spec: SearchSpec | Path | str,
    *,
    name: str | None = None,
    storage: Path | str | None = None,
    address: str | None = None,
    engine: Literal["ray", "local"] = "ray",
    overrides: Sequence[str] = (),
    take_over: bool = False,
    progress: Progress | None = None,
) -> Search:
    """Run a search to its end, or resume it where it was; returns the search.

    `spec` is a `SearchSpec` or the path of its YAML file. A search of the same name goes on if nothing
    but its budget or resources changed; else a `SearchError` says so. A complete one is left as it is,
    unless they did. An interrupt (Ctrl-C) leaves a search that `launch` resumes. `take_over` ends the hold of
    a driver on another machine that is not heard of any more.
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
    study = _open_or_create(where, spec, store)
    with held(study.engine, spec.name, take_over=take_over) as lease:
        if study.complete and study.spec == spec:
            progress.note(f"search '{spec.name}' is complete; a larger budget extends it")
        else:
            record = Record(study, lease)
            record.waiting = lease.waiting = progress.note  # but not the record, which does not answer then
            record.update_spec(spec)
            record.set_complete(False)
            told = Several(progress, Lines(spec, record.note))
            with gentle_interrupts(told) as interrupted:

                def asked() -> Request | None:
                    return "pause" if interrupted() else lease.request()

                driver = Driver(record, store_uri, where.checkpoints(spec.name), told, asked)
                _run(driver, engine, address)
                if asked() != "pause":
                    driver.close()
    return Search(spec.name, where)


def resume(
    name: str,
    *,
    storage: Path | str | None = None,
    address: str | None = None,
    engine: Literal["ray", "local"] = "ray",
    overrides: Sequence[str] = (),
    take_over: bool = False,
    progress: Progress | None = None,
) -> Search:
    """Launch a search again by its name, as it was asked for but for the `overrides`; see `launch`."""
    values = open_search(name, storage).spec.as_dict()
    for override in overrides:
        apply_override(values, override)
    spec = SearchSpec.from_dict(values)
    return launch(
        spec, storage=storage, address=address, engine=engine, take_over=take_over, progress=progress
    )


def _run(driver: Driver, engine: str, address: str | None) -> None:
    if engine == "local":
        from search.engine import local

        local.run(driver)
    else:
        from search.engine import ray_tune  # importing Ray takes seconds; nothing else needs it

        ray_tune.run(driver, address)


def _open_or_create(where: Storage, spec: SearchSpec, store: SampleStore) -> Study:
    """The study of that name where it is the same search, a new one where there is none."""
    database = where.database(spec.name)
    if not where.has(spec.name):
        where.search(spec.name).mkdir(parents=True, exist_ok=True)
        start = Start.of(spec, first_models(store.manifest, spec))
        warm_start(start, spec, store, where)
        return Study.create(database, spec, store.digest, store.manifest.sample_rate, start)
    study = Study.open(database, spec.name)
    if not study.spec.same_search(spec) or study.store_digest != store.digest:
        raise SearchError(
            f"a search '{spec.name}' with other settings or other data exists in {where}; "
            "launch this one under another --name"
        )
    return study


def warm_start(start: Start, spec: SearchSpec, store: SampleStore, where: Storage) -> None:
    """Add what earlier searches found to what this one begins with; raises `SearchError`.

    Their values count as shares of what the dry signal has on each one's data. The best model of each is
    tried again, on this data.
    """
    own = dry_metrics(store, "validation")[spec.objective]
    space = spec.space()
    for name in spec.warm_start:
        earlier = Search(name, where)
        if earlier.sample_rate != store.manifest.sample_rate:
            raise SearchError(
                f"warm_start: '{name}' was at {earlier.sample_rate} Hz, this data has "
                f"{store.manifest.sample_rate} Hz; leave it out"
            )
        theirs = dry_metrics(earlier.store(), "validation")[spec.objective]
        fitting = []
        for row in earlier.study.board():
            config = TrialConfig.from_dict(row.config)
            drawn = space.values_of(config.model, config.training)
            if row.metrics and row.state not in WITHOUT_MODEL and drawn is not None:
                fitting.append({key: value for key, (value, _) in drawn.items()})
                share = row.metrics[spec.objective] / theirs
                values = [share * own]
                if spec.sampler == "nsga2":
                    values.append(1.0 / max(row.realtime_factor or 0.0, 1e-6))
                start.known.append((config.as_dict(), values))
        if fitting:
            start.draws.insert(0, fitting[0])
