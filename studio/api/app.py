"""The ASGI application: routes, the page's files, and one form for all errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

import edgedrag
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.plugins import MissingCodec
from edgedrag.studio.api import live, shares, staff, visitors
from edgedrag.studio.api.guard import Guard
from edgedrag.studio.api.live import WIPED
from edgedrag.studio.api.problems import ApiError, body, responses
from edgedrag.studio.api.visitors import StationDep
from edgedrag.studio.api.wrong_codes import WrongCodes
from edgedrag.studio.editing.sessions import Session
from edgedrag.studio.editing.worker import Busy, Superseded
from edgedrag.studio.health.metrics import CONTENT_TYPE
from edgedrag.studio.station import Station

STATIC = Path(__file__).parents[1] / "static"
HUNG_SECONDS = 10.0  # a station whose worker takes longer over a turn is not ready for visitors


class Status(BaseModel):
    status: str


def make_app(station: Station) -> FastAPI:
    """The application of a station."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        works = (station.sweep_idle(), station.follow_releases(), station.push_metrics())
        running = [asyncio.create_task(work) for work in works]
        yield
        for task in running:
            task.cancel()
        station.close()

    app = FastAPI(
        title="edgedrag studio",
        version=edgedrag.__version__,
        description="Photo in, drags in, previews and the result out. The WebSocket is described in docs/studio.md.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.station = station
    app.state.connections = {}
    app.state.shares = shares.Shares()
    app.state.wrong_codes = WrongCodes()

    def close_connection(session: Session) -> None:
        app.state.shares.drop(session)
        connection = app.state.connections.get(session.id)
        if connection is not None:
            connection.close(WIPED)

    station.on_session_end = close_connection
    _add_probes(app)
    for router in (visitors.about_router, visitors.router, shares.router, live.router, staff.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_error_answers(app, station)
    app.add_middleware(Guard, settings=station.settings)
    return app


def _add_probes(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/sw.js", include_in_schema=False)
    async def service_worker() -> FileResponse:
        return FileResponse(STATIC / "sw.js", media_type="text/javascript")

    @app.get("/staff", include_in_schema=False)
    async def staff_page() -> FileResponse:
        return FileResponse(STATIC / "staff.html")

    @app.get("/healthz", tags=["probes"])
    async def healthz() -> Status:
        """Whether the process lives."""
        return Status(status="alive")

    @app.get("/readyz", tags=["probes"], responses=responses(503))
    async def readyz(station: StationDep) -> Status:
        """Whether it can serve a visitor now: the worker is not stuck and the queue has room."""
        if station.worker.turn_seconds > HUNG_SECONDS:
            raise ApiError(503, "the engine hangs")
        if station.worker.waiting >= station.settings.queue:
            raise ApiError(503, "the queue is full", {"Retry-After": "1"})
        return Status(status="ready")

    @app.get("/metrics", tags=["probes"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics(station: StationDep) -> Response:
        """For Prometheus."""
        return PlainTextResponse(station.records.metrics_text(), media_type=CONTENT_TYPE)


def _add_error_answers(app: FastAPI, station: Station) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        answered = _api_error(error)
        if isinstance(error, Busy):
            station.metrics.busy.inc()
        if answered is None:
            station.failed(error)
            answered = ApiError(500, "the station failed at this; staff see why")
        if answered.status == 405:  # Starlette names the methods of the first route of this path alone
            paths = app.openapi()["paths"]
            path = request.url.path.removeprefix(station.settings.root_path)
            allowed = ", ".join(sorted(_methods(paths, path)))
            answered.headers = {"Allow": allowed} if allowed else answered.headers
        return JSONResponse(body(answered.status, answered.detail), answered.status, answered.headers)

    for kind in (
        ApiError,
        InputError,
        RequestValidationError,
        Busy,
        Superseded,
        ClientDisconnect,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, answer)


def _methods(paths: dict[str, Any], path: str) -> set[str]:
    """The methods that the OpenAPI description has for a path."""
    found = (methods for form, methods in paths.items() if re.fullmatch(re.sub(r"{\w+}", "[^/]+", form), path))
    return {method.upper() for methods in found for method in methods}


def _api_error(error: Exception) -> ApiError | None:
    """What an error means to the client; None where the station itself is at fault."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, MissingCodec):
        return ApiError(415, str(error))
    if isinstance(error, InputError):
        return ApiError(422, str(error))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return ApiError(422, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
    if isinstance(error, Busy):
        return ApiError(503, str(error), {"Retry-After": str(error.retry_after)})
    if isinstance(error, Superseded):
        return ApiError(409, "cancelled: a newer request took its place")
    if isinstance(error, ClientDisconnect):
        return ApiError(400, "the upload was cut off")
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, str(error.detail), dict(error.headers or {}))
    return None
