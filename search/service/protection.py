"""Who may ask the service, and what its pages may load.

On loopback, requests must name a loopback host, or a page elsewhere could reach it under a name of its own
(DNS rebinding). On any other address a token is needed: as a bearer token, or, for a browser, as a cookie
that its log-in page sets. What changes state must come from the service's own pages, or from no page at all.
"""

import hmac
import secrets
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fxcore.files import write_bytes
from search.service.problems import problem

COOKIE = "fxsearch"
OPEN_PATHS = ("/login", "/static/", "/vendor/")  # what the log-in page needs
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the plug-in engine is WebAssembly
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",  # figures are SVG that matplotlib wrote
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_token(root: Path) -> tuple[str, Path]:
    """The token of the service of a storage root, made once, and the file that only its owner reads."""
    path = root / "service.token"
    if not path.exists():
        write_bytes(path, secrets.token_urlsafe(32).encode())
        path.chmod(0o600)
    return path.read_text().strip(), path


class Gate:
    """Who may ask."""

    def __init__(self, token: str | None) -> None:
        """Without a token, requests must come from this machine."""
        self.token = token

    def knows(self, token: str) -> bool:
        """Whether it is the token, in constant time."""
        return self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())

    def refusal(self, request: Request) -> Response | None:
        """Why a request is not served; None where it is."""
        if self.token is None and not is_loopback(request.url.hostname or ""):
            return problem(403, "this service answers on localhost only; open it under http://127.0.0.1")
        if request.method not in SAFE_METHODS and not _same_origin(request):
            return problem(403, "a page of another origin may not change anything here")
        if self.token is None or request.url.path.startswith(OPEN_PATHS):
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if self.knows(given if kind.lower() == "bearer" else request.cookies.get(COOKIE, "")):
            return None
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        refusal = problem(401, "a token is needed: Authorization: Bearer TOKEN, or log in at /login")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal


def _same_origin(request: Request) -> bool:
    """Browsers say where a request comes from; what says nothing is no browser's."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


class Guard:
    """Middleware: lets a request pass the gate, or answers why not, and says what a page may load."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (self.gate.refusal(Request(scope)) or self.app)(scope, receive, guarded)


class BodyLimit:
    """Middleware: refuses a request whose body is larger than `limit(path)` bytes, counting as it comes."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, taken, refused = self.limit(scope["path"]), 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _TooLargeError
            return message

        async def checked(message: Message) -> None:
            """Whatever the application made of it: a body that was too large is answered so."""
            nonlocal refused
            if taken <= limit:
                await send(message)
            elif not refused:
                refused = True
                await problem(413, f"at most {limit:,} bytes can be sent here")(scope, receive, send)

        try:
            await self.app(scope, counted, checked)
        except _TooLargeError:
            await checked({"type": "http.response.start"})


class _TooLargeError(Exception):
    """A body that goes on beyond its limit."""
