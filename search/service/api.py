"""The JSON API: everything that the pages do, for programs. Errors are problem JSON."""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from datasets.store import MANIFEST, SampleStore
from fxcore.errors import SpecError, did_you_mean
from fxcore.export import FORMATS
from fxcore.spec import Spec
from search.board import board_json, chosen, pareto
from search.config import NAME_PATTERN, SearchSpec
from search.findings import gather
from search.listening import TESTS, keep, kept, to_csv
from search.overview import SearchLine, overview
from search.references import references
from search.report import render, spec_yaml
from search.searches import Search
from search.service import listenable
from search.service.problems import TakenError, UnknownError
from search.service.processes import import_pair, run_search
from search.service.watching import Watch
from search.storage import Storage
from search.study import TrialRow

STORES = "stores"
TOP = 5  # trials in detail in a report
MOST_UPLOAD_BYTES = 400 << 20  # of a pair: 20 minutes of 24-bit stereo at 96 kHz, twice
MOST_UPLOAD_SECONDS = 1800.0
COPY_BYTES = 1 << 20
STORE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

PROBLEM = {
    "description": "What cannot be done, and why",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                },
            }
        }
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 401, 403, 404, 409, 413, 422), PROBLEM)

Name = Annotated[str, InPath(pattern=NAME_PATTERN)]
Number = Annotated[int, InPath(ge=0, le=2**31 - 1)]

router = APIRouter(prefix="/api", responses=PROBLEMS)


class Launched(BaseModel):
    """A search that was begun, or goes on."""

    search: str
    state: str


class Extension(Spec):
    """What a search may spend beyond what it was given."""

    trials: int = Field(ge=1, le=100_000)
    minutes: float | None = Field(None, gt=0.0, le=1e6)


class SearchRequest(BaseModel):
    """A search's settings, as its YAML file has them; see the README."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(pattern=NAME_PATTERN)
    data: str
    budget: dict[str, Any]


async def storage_of(request: Request) -> Storage:  # async: else each costs a turn of a thread
    """The root that the service serves."""
    found: Storage = request.app.state.storage
    return found


async def cluster_of(request: Request) -> str | None:
    """The Ray cluster that searches run on; None for this machine."""
    found: str | None = request.app.state.cluster
    return found


async def name_of(name: Name, storage: Annotated[Storage, Depends(storage_of)]) -> str:
    """The name of a search that is there; raises `UnknownError`."""
    if not storage.has(name):
        raise UnknownError(f"no search '{name}'{did_you_mean(name, storage.searches())}")
    return name


def search_of(
    name: Annotated[str, Depends(name_of)], storage: Annotated[Storage, Depends(storage_of)]
) -> Search:
    """The search of that name; raises `UnknownError`."""
    return Search(name, storage)


Root = Annotated[Storage, Depends(storage_of)]
Found = Annotated[Search, Depends(search_of)]
Cluster = Annotated[str | None, Depends(cluster_of)]


@router.get("/searches")
def list_searches(storage: Root) -> list[SearchLine]:
    """All searches, with their state and their best trial."""
    return overview(storage)


@router.post("/searches", status_code=201)
def launch_search(request: SearchRequest, storage: Root, address: Cluster) -> Launched:
    """Launch a search on a store below the service's root; it runs in a process of its own."""
    return begin(storage, request.model_dump(exclude_unset=True), address)


@router.get("/searches/{name}")
def show_search(search: Found) -> dict[str, Any]:
    """How far it is, and what was asked for."""
    return {**search.status(), "spec": search.spec.as_dict()}


@router.get("/searches/{name}/board")
def show_board(
    search: Found,
    where: Annotated[str | None, Query(max_length=200)] = None,
    only_pareto: Annotated[bool, Query(alias="pareto")] = False,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 100_000,
) -> dict[str, Any]:
    """The leaderboard, best first: what `fxsearch board --json` prints."""
    rows = search.trials()
    rows = chosen(rows, where) if where else rows
    rows = pareto(rows, search.spec.objective) if only_pareto else rows
    return board_json(search, rows[:limit], references(search.store()))


@router.get("/searches/{name}/curves")
def show_curves(search: Found, best: Annotated[int, Query(ge=1, le=1000)] = 50) -> dict[str, Any]:
    """The objective of the best trials at each of their reports, on the validation split."""
    return {"objective": search.spec.objective, "curves": curves(search, search.trials(), best)}


@router.get("/searches/{name}/events", response_class=StreamingResponse)
async def watch_search(name: Annotated[str, Depends(name_of)], request: Request) -> StreamingResponse:
    """Server-sent events: `changed` at once, and whenever the search has changed."""
    watch: Watch = request.app.state.watch

    async def events() -> AsyncIterator[str]:
        async for _ in watch.changes(name):
            yield "event: changed\ndata: \n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/searches/{name}/extend", status_code=202)
def extend_search(search: Found, extension: Extension, storage: Root, address: Cluster) -> Launched:
    """Give a search more trials, and run them."""
    options = ["--trials", str(extension.trials)]
    if extension.minutes is not None:
        options += ["--minutes", str(extension.minutes)]
    run_search(storage, search.name, ["extend", search.name, *options], address)
    return Launched(search=search.name, state=search.state)


@router.get("/searches/{name}/sounds/{key}.flac", response_class=Response)
def play_sound(
    search: Found, key: Annotated[str, InPath(pattern=r"^(input|dry|wet|anchor|trial-\d{1,9})$")]
) -> Response:
    """An excerpt of the test split: dry, wet, anchor or trial-N, equally loud; or input, the dry as it is."""
    return Response(listenable.sound(search, key), media_type="audio/flac")


@router.get("/searches/{name}/models/{trial}.{kind}", response_class=Response)
def export_model(search: Found, trial: Number, kind: str) -> Response:
    """A trial's model in one of the export formats, read back and compared."""
    if kind not in FORMATS:
        raise UnknownError(f"unknown format '{kind}'{did_you_mean(kind, FORMATS)}")
    with tempfile.TemporaryDirectory() as folder:
        (path,) = search.export(kind, folder, trial=trial)
        return _download(Path(path).read_bytes(), "application/octet-stream", Path(path).name)


@router.get("/searches/{name}/report.html", response_class=Response)
def write_search_report(search: Found) -> Response:
    """The report: one HTML file that needs neither network nor service."""
    return _download(render(gather(search, TOP)).encode(), "text/html", f"{search.name}.html")


@router.get("/searches/{name}/listening")
def list_listening(search: Found) -> list[dict[str, Any]]:
    """The results of listening tests that are kept with the search."""
    return [result.as_dict() for result in kept(search.folder)]


@router.get("/searches/{name}/listening.csv", response_class=PlainTextResponse)
def download_listening(search: Found) -> Response:
    """The same as CSV: a line for each comparison and each rating."""
    return _download(to_csv(kept(search.folder)).encode(), "text/csv", f"{search.name}-listening.csv")


@router.post("/searches/{name}/listening", status_code=201)
async def add_listening(search: Found, request: Request) -> dict[str, Any]:
    """Keep the result of a listening test: of the kind `abx` or `mushra`."""
    try:
        values = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise SpecError("the result of a listening test must be JSON") from None
    result = TESTS.parse(values)
    keep(search.folder, result)
    return result.as_dict()


@router.post("/searches/{name}/{verb}", status_code=202)
def control_search(
    search: Found, verb: Literal["pause", "stop", "resume"], storage: Root, address: Cluster
) -> Launched:
    """Pause a running search after its trials' next reports, resume it, or end it as it is."""
    if verb == "resume":
        run_search(storage, search.name, ["resume", search.name], address)
    else:
        {"pause": search.pause, "stop": search.stop}[verb]()
    return Launched(search=search.name, state=search.state)


@router.get("/stores")
def list_stores(storage: Root) -> list[dict[str, Any]]:
    """The sample stores below the root, by the names that searches give as `data`."""
    return [
        {"store": name, "source": manifest.source, "sample_rate": manifest.sample_rate}
        for name in stores(storage)
        for manifest in [SampleStore.open(storage.root / name).manifest]
    ]


@router.post("/stores/{name}", status_code=201)
async def upload_pair(name: Name, dry: UploadFile, wet: UploadFile, storage: Root) -> dict[str, Any]:
    """Make the store `stores/NAME` of a dry and a wet recording: checked, aligned and split."""
    return await take_in(storage, name, dry, wet)


def curves(search: Search, rows: list[TrialRow], best: int) -> list[dict[str, Any]]:
    """Of the first `best` trials with a result, the objective at each report."""
    found = []
    for row in [row for row in rows if row.metrics][:best]:
        if reports := [report for report in search.study.reports(row.id) if not report.diverged]:
            seconds = [report.compute_seconds for report in reports]
            values = [report.metrics[search.spec.objective] for report in reports]
            found.append(
                {"trial": row.id, "family": row.family, "compute_seconds": seconds, "values": values}
            )
    return found


def begin(storage: Storage, values: dict[str, Any], address: str | None) -> Launched:
    """Launch a search that came from outside; raises `FxError`."""
    spec = SearchSpec.from_dict(values)
    store_below(storage, spec.data)
    if storage.search(spec.name).exists():
        raise TakenError(f"the search '{spec.name}' exists already; give another name")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(spec_yaml(spec))
        file.flush()
        run_search(storage, spec.name, ["launch", file.name], address)
    return Launched(search=spec.name, state=Search(spec.name, storage).state)


async def take_in(storage: Storage, name: str, dry: UploadFile, wet: UploadFile) -> dict[str, Any]:
    """Import an uploaded pair as the store `stores/NAME`; the report of what was found in it."""
    place = storage.root / STORES / name
    if place.exists():
        raise TakenError(f"the store '{STORES}/{name}' exists already; give another name")
    with tempfile.TemporaryDirectory(prefix="fxsearch-pair-") as folder:
        paths: dict[str, Path] = {}
        for side, upload in (("dry", dry), ("wet", wet)):
            suffix = Path(upload.filename or "").suffix.lower()
            path = Path(folder) / (side + (suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ".wav"))
            with path.open("wb") as file:
                while part := await upload.read(COPY_BYTES):
                    file.write(part)
            paths[side] = path
        return await asyncio.to_thread(import_pair, paths["dry"], paths["wet"], place, MOST_UPLOAD_SECONDS)


def stores(storage: Storage) -> list[str]:
    """The names of all finished stores below the root's `stores` folder."""
    return sorted(
        str(path.parent.relative_to(storage.root)) for path in (storage.root / STORES).glob(f"*/{MANIFEST}")
    )


def store_below(storage: Storage, name: str) -> SampleStore:
    """A store by name, below the root only; raises `SpecError`."""
    parts = name.split("/")
    if not all(STORE_PART.fullmatch(part) for part in parts):
        raise SpecError(f"data must name a store below the service's root, as in stores/amp; got {name!r}")
    place = storage.root.joinpath(*parts)
    if not place.resolve().is_relative_to(storage.root.resolve()) or not (place / MANIFEST).exists():
        raise SpecError(f"no store '{name}'{did_you_mean(name, stores(storage))}")
    return SampleStore.open(place)


def _download(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
