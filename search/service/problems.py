"""Errors as problem JSON (RFC 9457): one line for people, never a trace."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from fxcore.errors import AudioError, ExportError, FxError, OutputExistsError, SearchError, SpecError

LOG = logging.getLogger("fxsearch.service")


class UnknownError(FxError):
    """A search, trial or store that is not there."""


class TakenError(FxError):
    """A name that is in use."""


STATUS: dict[type[FxError], int] = {
    UnknownError: 404,
    TakenError: 409,
    OutputExistsError: 409,
    SearchError: 409,
    SpecError: 422,
    AudioError: 422,
    ExportError: 422,
}


def problem(status: int, detail: str) -> JSONResponse:
    """The answer to a request that cannot be done."""
    title = HTTPStatus(status).phrase
    values = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(values, status, media_type="application/problem+json")


def tell_problems(app: FastAPI, page: Callable[[int, str], Response]) -> None:
    """Let every error of the application be told so; people who asked for a page get it as a `page`."""

    def answer(request: Request, status: int, detail: str) -> Response:
        for_people = "text/html" in request.headers.get("accept", "")
        return page(status, detail) if for_people else problem(status, detail)

    @app.exception_handler(FxError)
    def user_error(request: Request, error: FxError) -> Response:
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 400)
        return answer(request, status, str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return answer(request, 422, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        response = answer(request, error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> Response:
        LOG.exception("%s %s", request.method, request.url.path, exc_info=error)
        return answer(request, 500, "something went wrong here; the service's log says what")
