"""The pages: server-rendered, kept fresh by htmx; plots by uPlot; both from npm, kept in `web/`."""

import json
import threading
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from datasets.store import SampleStore
from fxcore.errors import FxError, SpecError
from fxcore.export import formats_for, load
from fxcore.models import FAMILIES
from search import figures, plots
from search.board import pareto
from search.config import NAME_PATTERN
from search.overview import overview
from search.progress import summary
from search.references import BASELINES, SHOWN_METRICS, references
from search.report import templates
from search.searches import Search
from search.service import listenable
from search.service.api import (
    Cluster,
    begin,
    curves,
    name_of,
    search_of,
    storage_of,
    store_below,
    stores,
    take_in,
)
from search.service.problems import UnknownError, problem
from search.service.protection import COOKIE, Gate
from search.service.watching import Made
from search.storage import Storage
from search.study import TrialRow

WEB = Path(__file__).parents[2] / "web"
VENDOR = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "nam/nam.js": "@opendaw/nam-wasm/dist/nam.js",
    "nam/NamWasmModule.js": "@opendaw/nam-wasm/dist/NamWasmModule.js",
    "nam/nam.wasm": "@opendaw/nam-wasm/dist/nam.wasm",
}
STATIC = Path(__file__).parents[1] / "templates"
MEDIA = {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm"}
SHOWN_ROWS, SHOWN_CURVES, MOST_POINTS, LISTENED = 100, 30, 1000, 5
DAY = {"Cache-Control": "private, max-age=86400"}
FRESH = {"Cache-Control": "no-cache"}

router = APIRouter(include_in_schema=False)
environment = templates()
drawing = threading.Lock()  # matplotlib's settings belong to the whole process

Root = Annotated[Storage, Depends(storage_of)]
Found = Annotated[Search, Depends(search_of)]
Known = Annotated[str, Depends(name_of)]


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the service."""
    values = {"missing": not (WEB / "node_modules").exists(), **values}
    return HTMLResponse(environment.get_template(f"service/{template}").render(**values), status, FRESH)


def problem_page(status: int, detail: str) -> Response:
    """An error for people."""
    return page("problem.html", status, code=status, detail=detail)


@router.get("/")
def searches_page(storage: Root) -> Response:
    return page("searches.html", lines=overview(storage), root=storage.root)


@router.get("/searches/{name}")
def search_page(name: Known, storage: Root) -> Response:
    return _search_page(storage, name)


@router.get("/searches/{name}/board")
def board_part(name: Known, storage: Root) -> Response:
    return HTMLResponse(_board_html(storage, name), 200, FRESH)


@router.get("/searches/{name}/plots")
def plots_data(name: Known, storage: Root) -> Response:
    """What the page's plots show."""
    return Response(_plots_json(storage, name), 200, FRESH, "application/json")


@router.get("/searches/{name}/parallel")
def parallel_part(name: Known, storage: Root) -> Response:
    """Parallel coordinates."""
    return HTMLResponse(_parallel_html(storage, name), 200, FRESH)


@router.get("/searches/{name}/listen")
def listen_page(search: Found) -> Response:
    rows = _listenable(search)
    listening = {
        "search": search.name,
        "data": search.study.store_digest,
        "models": [f"trial-{row.id}" for row in rows],
        "titles": {"dry": "Dry", "wet": "Wet", "anchor": "Anchor"}
        | {f"trial-{row.id}": f"Trial {row.id}" for row in rows},
        "hidden": {"anchor": f"/api/searches/{search.name}/sounds/anchor.flac"},
        "loops": [loop._asdict() for loop in listenable.around(search)],
        "post": f"/api/searches/{search.name}/listening",
    }
    return page("listen.html", search=search, state=search.state, rows=rows, listening=listening)


@router.get("/searches/{name}/play")
def play_page(search: Found) -> Response:
    playable = [row for row in _listenable(search, most=20) if _fits_nam(search, row)]
    return page("play.html", search=search, state=search.state, rows=playable)


@router.get("/new")
def new_page(storage: Root, store: str | None = None) -> Response:
    return _new_page(storage, store)


@router.post("/new/pair")
async def pair_form(
    storage: Root,
    dry: UploadFile,
    wet: UploadFile,
    name: Annotated[str, Form(pattern=NAME_PATTERN)],
) -> Response:
    """Take in a pair, and show its alignment and checks beside the form that searches on it."""
    try:
        report = await take_in(storage, name, dry, wet)
    except FxError as error:
        return _new_page(storage, None, complaint=str(error), status=422)
    return _new_page(storage, f"stores/{name}", report=report)


@router.post("/new")
def launch_form(
    storage: Root,
    cluster: Cluster,
    name: Annotated[str, Form(max_length=64)],
    store: Annotated[str, Form(max_length=200)],
    trials: Annotated[int, Form(ge=1, le=100_000)],
    trial_seconds: Annotated[float, Form(gt=0, le=1e6)],
    minutes: Annotated[str, Form(max_length=20)] = "",
    families: Annotated[list[str] | None, Form(max_length=64)] = None,
) -> Response:
    try:
        budget: dict[str, Any] = {"trials": trials, "trial_seconds": trial_seconds}
        if minutes:
            budget["minutes"] = _number(minutes)
        values: dict[str, Any] = {"name": name, "data": store, "budget": budget}
        if families:
            values["families"] = dict.fromkeys(families)
        launched = begin(storage, values, cluster)
    except FxError as error:
        return _new_page(storage, store, complaint=str(error), status=422)
    return RedirectResponse(f"/searches/{launched.search}", 303)


@router.get("/login")
def login_page() -> Response:
    return page("login.html", wrong=False)


@router.post("/login")
def login(request: Request, token: Annotated[str, Form(max_length=200)]) -> Response:
    gate: Gate = request.app.state.gate
    if not gate.knows(token.strip()):
        return page("login.html", 401, wrong=True)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE, token.strip(), httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return answer


@router.get("/static/{name}")
def static_file(name: Annotated[str, InPath(pattern=r"^[a-z-]{1,40}\.(js|css)$")]) -> Response:
    path = STATIC / name
    if not path.exists():
        raise UnknownError(f"no file '{name}'")
    return FileResponse(path, media_type=MEDIA[path.suffix], headers=FRESH)


@router.get("/vendor/{name:path}")
def vendor_file(name: str) -> Response:
    path = WEB / "node_modules" / VENDOR.get(name, "?")
    if name not in VENDOR or not path.exists():
        return problem(404, f"'{name}' is not installed; run `make web`")
    return FileResponse(path, media_type=MEDIA[path.suffix], headers=DAY)


def _new_page(
    storage: Storage,
    store: str | None,
    report: dict[str, Any] | None = None,
    complaint: str | None = None,
    status: int = 200,
) -> Response:
    chosen: SampleStore | None = None
    if store is not None and complaint is None:
        chosen = store_below(storage, store)
    return page(
        "new.html",
        status,
        stores=stores(storage),
        store=store,
        manifest=chosen.manifest if chosen else None,
        report=report,
        complaint=complaint,
        families=list(FAMILIES),
    )


def _board(search: Search, rows: list[TrialRow]) -> dict[str, Any]:
    objective = search.spec.objective
    return {
        "search": search,
        "state": search.state,
        "colours": _colours(rows),
        "formats": _formats(search, rows[0]) if rows and rows[0].metrics else [],
        "rows": rows[:SHOWN_ROWS],
        "hidden_rows": max(0, len(rows) - SHOWN_ROWS),
        "total": len(rows),
        "ended": sum(row.state not in ("running", "waiting") for row in rows),
        "front": {row.id for row in pareto(rows, objective)},
        "marks": _marks(search),
        "metrics": list(dict.fromkeys([objective, *SHOWN_METRICS])),
        "objective": objective,
        "title": figures.title,
        "baselines": BASELINES,
        "sample_rate": search.sample_rate,
        "wanted": search.study.trials_wanted,
    }


def _marks(search: Search) -> list[Any]:
    try:
        return list(references(search.store()))
    except FxError:  # the store is gone: the record is not
        return []


def _listenable(search: Search, most: int = LISTENED) -> list[TrialRow]:
    """The best trials that have a model."""
    found: list[TrialRow] = []
    for row in search.trials():
        if len(found) == most or not row.metrics:
            break
        if search.checkpoint(row.id).exists():
            found.append(row)
    return found


def _fits_nam(search: Search, row: TrialRow) -> bool:
    return "nam" in _formats(search, row)


def _formats(search: Search, row: TrialRow) -> list[str]:
    """What can hold a trial's model; nothing where it cannot be read any more."""
    try:
        return formats_for(load(search.checkpoint(row.id)).model)
    except FxError:
        return []


def _colours(rows: list[TrialRow]) -> dict[str, str]:
    """Names of CSS variables by family."""
    return {family: plots.VARIABLES[colour] for family, colour in figures.family_colours(rows).items()}


def _make_page(search: Search, rows: list[TrialRow]) -> Response:
    return page("search.html", fresh=False, **_board(search, rows))


def _make_board(search: Search, rows: list[TrialRow]) -> str:
    return environment.get_template("service/fresh.html").render(fresh=True, **_board(search, rows))


def _make_plots(search: Search, rows: list[TrialRow]) -> bytes:
    objective = search.spec.objective
    front = {row.id for row in pareto(rows, objective)}
    points = [
        {
            "trial": row.id,
            "family": row.family,
            "objective": row.metrics[objective],
            "speed": row.realtime_factor,
            "front": row.id in front,
        }
        for row in rows
        if objective in row.metrics and row.realtime_factor
    ]
    values = {
        "objective": figures.title(objective),
        "colours": _colours(rows),
        "points": points[:MOST_POINTS],
        "curves": curves(search, rows, SHOWN_CURVES),
    }
    return json.dumps(values).encode()


def _make_parallel(search: Search, rows: list[TrialRow]) -> str:
    with drawing:
        found = figures.parallels(rows, search.spec.objective, figures.family_colours(rows))
    return environment.get_template("service/parallel.html").render(parallels=found)


_search_page, _board_html = Made(_make_page), Made(_make_board)
_plots_json, _parallel_html = Made(_make_plots), Made(_make_parallel)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"minutes must be a number; got {text!r}") from None


environment.filters["summary"] = summary
