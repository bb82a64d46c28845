"""The application: routes, protection, errors."""

from fastapi import FastAPI

from search.service import api, pages
from search.service.problems import tell_problems
from search.service.protection import BodyLimit, Gate, Guard
from search.service.watching import Watch
from search.storage import Storage

SMALL_BYTES = 1 << 20
UPLOADS = ("/api/stores/", "/new/pair")


def create_app(storage: Storage, token: str | None = None, cluster: str | None = None) -> FastAPI:
    """The service of a storage root.

    With a `token`, nobody without it is served. Searches run on this machine, or on the Ray `cluster`.
    """
    app = FastAPI(
        title="fxsearch",
        summary="Finds the neural network that sounds like a given piece of music gear.",
        docs_url=None,  # its pages come from a CDN; /openapi.json has it all
        redoc_url=None,
    )
    app.state.storage, app.state.watch, app.state.gate = storage, Watch(storage), Gate(token)
    app.state.cluster = cluster
    app.add_middleware(BodyLimit, limit=_most_bytes)
    app.add_middleware(Guard, gate=app.state.gate)
    app.include_router(api.router)
    app.include_router(pages.router)
    tell_problems(app, pages.problem_page)
    return app


def _most_bytes(path: str) -> int:
    """How large a request's body may be."""
    return api.MOST_UPLOAD_BYTES if path.startswith(UPLOADS) else SMALL_BYTES
