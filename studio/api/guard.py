"""Access control: who may use the station, how much it reads, and what browsers may do with its answers."""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgedrag.studio.api.problems import ApiError, body
from edgedrag.studio.settings import Settings

PROTOCOL = "edgedrag"  # of the WebSocket; the token may follow as "bearer.TOKEN"
SMALL_BODY = 64 << 10  # bytes, of every body but a picture's
READ_SECONDS = 60  # for a whole body
DEFAULT_PORTS = {"http": 80, "https": 443}
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole station."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = self._own_path(scope)
        root = self._settings.root_path
        scope = {**scope, "root_path": root, "path": root + path}
        try:
            self._check(scope, path)
        except ApiError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                answer = JSONResponse(body(error.status, error.detail), error.status, error.headers)
                await answer(scope, receive, _with_headers(path, send))
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif not path:
            await RedirectResponse(f"{root}/")(scope, receive, _with_headers(path, send))
        else:
            await self._app(scope, self._limited(path, receive), _with_headers(path, send))

    def _own_path(self, scope: Scope) -> str:
        """The path within the station, whether a proxy has taken the root path away or not; "" is its root itself."""
        root, path = self._settings.root_path, str(scope["path"])
        below = path == root or path.startswith(f"{root}/")
        return path.removeprefix(root) if root and below else path

    def _check(self, scope: Scope, path: str) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # Without a token, a name that its owner lets lead here would make a foreign page this station's own.
        if self._settings.token is None and _name(host).lower() not in (*LOOPBACK_NAMES, self._settings.host):
            raise ApiError(421, "this station answers to localhost alone; behind a proxy, start it with --token")
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if origin is not None and changes and not _same_site(origin, host):
            raise ApiError(403, "another site's page may not use this station")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limit(path):
            raise ApiError(413, _too_large(self._limit(path)))
        if self._settings.token is not None and _needs_token(path):
            if not hmac.compare_digest(_token_of(headers).encode(), self._settings.token.encode()):
                raise ApiError(401, "the station's token is missing or wrong", {"WWW-Authenticate": "Bearer"})

    def _limit(self, path: str) -> int:
        picture = path.endswith(("/photo", "/mask"))
        return int(self._settings.upload_mb * 1e6) if picture else SMALL_BODY

    def _limited(self, path: str, receive: Receive) -> Receive:
        """Counts what is read, as the declared length may be missing or wrong, and for how long."""
        limit, read, whole = self._limit(path), 0, False
        until = asyncio.get_running_loop().time() + READ_SECONDS

        async def counted() -> Message:
            nonlocal read, whole
            if whole:  # a wait for the client's end, which has no time limit
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), until - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                raise ApiError(408, f"the upload took longer than {READ_SECONDS} s") from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > limit:
                raise ApiError(413, _too_large(limit))
            return message

        return counted


def _with_headers(path: str, send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if "cache-control" not in headers:
                headers["Cache-Control"] = "no-cache" if path.startswith("/static/") else "no-store"
        await send(message)

    return wrapped


def _name(host: str) -> str:
    """A Host header without its port."""
    return host.rsplit(":", 1)[0] if ":" in host and not host.endswith("]") else host


def _same_site(origin: str, host: str) -> bool:
    """Whether an Origin header names what a Host header names; the port that a scheme implies is one with none."""
    try:
        site, here = urlsplit(origin), urlsplit(f"//{host}")
        implied = DEFAULT_PORTS.get(site.scheme)
        ports = site.port or implied, here.port or implied
    except ValueError:
        return False
    return implied is not None and site.hostname is not None and site.hostname == here.hostname and ports[0] == ports[1]


def _needs_token(path: str) -> bool:
    return (path.startswith("/api/") and not path.startswith("/api/staff/")) or path == "/metrics"


def _token_of(headers: Headers) -> str:
    """The token of a request, or an empty string."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    offered = (part.strip() for part in headers.get("sec-websocket-protocol", "").split(","))
    return next((part.removeprefix("bearer.") for part in offered if part.startswith("bearer.")), "")


def _too_large(limit: int) -> str:
    return f"too large: at most {limit / 1e6:.3g} MB"
