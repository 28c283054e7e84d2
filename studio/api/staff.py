"""The staff's HTTP API: health, the record, the self-test, bad edits to keep."""

from __future__ import annotations

import asyncio
import hmac
import platform
import time
from dataclasses import asdict
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

import edgedrag
from edgedrag.runtime.drag.reasons import ReasonCode
from edgedrag.runtime.photo.picture import Picture
from edgedrag.runtime.session.sheet import make_sheet
from edgedrag.studio.api.problems import ApiError, responses
from edgedrag.studio.api.schemas import StrictModel, reason_fields
from edgedrag.studio.api.visitors import StationDep, picture_answer
from edgedrag.studio.api.wrong_codes import WrongCodes
from edgedrag.studio.health.memory import resident_mb
from edgedrag.studio.records.days import Day
from edgedrag.studio.records.review import BadEdit

bearer = HTTPBearer(auto_error=False, description="the staff code")


async def staff_only(
    request: Request, station: StationDep, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Check the staff code; a client that gave too many wrong ones waits for it."""
    if shown is None:
        raise ApiError(401, "the staff code is missing", {"WWW-Authenticate": "Bearer"})
    address = request.client.host if request.client is not None else ""
    wrong_codes: WrongCodes = request.app.state.wrong_codes
    async with wrong_codes.turn(address):
        if hmac.compare_digest(shown.credentials.encode(), (station.settings.staff_code or "").encode()):
            wrong_codes.forget(address)
            return
        wrong_codes.add(address)
    raise ApiError(401, "the staff code is wrong", {"WWW-Authenticate": "Bearer"})


router = APIRouter(
    prefix="/api/staff", tags=["staff"], dependencies=[Depends(staff_only)], responses=responses(401, 429)
)


class Health(BaseModel):
    """The state of the station."""

    version: str
    python: str
    platform: str
    bundle: str
    bundle_version: str
    backend: str
    device: str
    precision: str
    uptime_s: float
    memory_mb: float
    sessions: int
    queue: int
    queue_bound: int
    turn_s: float = Field(description="how long the engine's current step lasts")
    drift: dict[str, Any]
    exceeded: list[dict[str, Any]] = Field(description="limits of the settings: name, value, limit")
    disk_free_mb: float
    pixels: bool
    held: int = Field(description="held bad edits")
    kept: int
    errors: list[dict[str, Any]] = Field(description="the newest first")


class TestReport(BaseModel):
    """The self-test."""

    passed: bool
    problems: list[str] = Field(description="in English")
    codes: list[str] = Field(description="of each problem")
    values: list[dict[str, float | None]]
    figures: dict[str, Any]


class Pixels(StrictModel):
    """Whether bad edits are held for review."""

    pixels: Annotated[bool, Field(strict=True)]


class Held(BaseModel):
    """A bad edit that is held for review."""

    name: str
    reasons: list[str] = Field(description="why, in English")
    codes: list[ReasonCode]
    values: list[dict[str, int]]
    width: int
    height: int


@router.get("/health")
async def health(station: StationDep) -> Health:
    """Versions, load, memory, limits that are exceeded, the drift alarm, the last errors."""
    runtime, records = station.runtime, station.records
    return Health(
        version=edgedrag.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        bundle=runtime.bundle.name,
        bundle_version=str(runtime.bundle.manifest["version"]),
        backend=runtime.backend.name,
        device=runtime.backend.device,
        precision=runtime.precision,
        uptime_s=round(time.time() - station.started, 1),
        memory_mb=round(resident_mb(), 1),
        sessions=len(station.sessions),
        queue=station.worker.waiting,
        queue_bound=station.settings.queue,
        turn_s=round(station.worker.turn_seconds, 2),
        drift=asdict(records.drift),
        exceeded=[asdict(each) for each in records.exceeded()],
        disk_free_mb=round(records.disk_free_mb),
        pixels=records.review.pixels,
        held=len(records.review.held()),
        kept=records.review.kept(),
        errors=await asyncio.wrap_future(records.monitor.errors()),
    )


@router.get("/settings")
async def settings(station: StationDep) -> dict[str, Any]:
    """What is in force, by the names of docs/studio.schema.json; secrets are left out."""
    return station.settings.shown()


@router.get("/days", responses=responses(422))
async def days(station: StationDep, count: Annotated[int, Query(ge=1, le=366)] = 14) -> list[Day]:
    """The record by day, the newest first."""
    return await asyncio.wrap_future(station.records.monitor.days(count))


@router.get("/edits", responses=responses(422))
async def edits(station: StationDep, limit: Annotated[int, Query(ge=1, le=5000)] = 500) -> list[dict[str, Any]]:
    """The newest edits of the record, the newest first."""
    return await asyncio.wrap_future(station.records.monitor.edits(limit))


@router.get("/edits.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def edits_csv(station: StationDep) -> Response:
    """The whole record, the oldest edit first."""
    text = await asyncio.wrap_future(station.records.monitor.as_csv())
    headers = {"Content-Disposition": 'attachment; filename="edgedrag-edits.csv"'}
    return Response(text, media_type="text/csv", headers=headers)


@router.post("/self-test", responses=responses(503))
async def self_test(station: StationDep) -> TestReport:
    """A drag whose right result is known, through the station's own queue."""
    report = await station.test()
    return TestReport(
        passed=report.passed,
        problems=[str(problem) for problem in report.problems],
        codes=[getattr(problem.code, "value", problem.code) for problem in report.problems],
        values=[dict(problem.values) for problem in report.problems],
        figures=report.figures,
    )


@router.put("/pixels", responses=responses(400, 413, 415, 422))
async def pixels(station: StationDep, setting: Pixels) -> Pixels:
    """Hold bad edits for review, in memory, or stop and forget those that wait. Off at every start."""
    station.records.review.turn_pixels(setting.pixels)
    return setting


@router.get("/held")
async def held(station: StationDep) -> list[Held]:
    """The held bad edits, the newest first."""
    return [
        Held(name=edit.name, **reason_fields(edit.reasons), width=edit.mask.shape[1], height=edit.mask.shape[0])
        for edit in station.records.review.held()
    ]


async def get_held(station: StationDep, name: str) -> BadEdit:
    found = station.records.review.find(name)
    if found is None:
        raise ApiError(404, "no such edit waits; it may have made room for newer ones")
    return found


Edit = Annotated[BadEdit, Depends(get_held)]


@router.get("/held/{name}/sheet", response_class=Response, responses={**picture_answer("image/png"), **responses(404)})
async def sheet(station: StationDep, edit: Edit) -> Response:
    """Before, the drags, and after, side by side, as PNG."""
    points = np.array([[*handle, *target] for handle, target in edit.drags])
    page = await asyncio.to_thread(make_sheet, edit.before, edit.after, edit.mask, points)
    scale = min(1600 / page.shape[1], 1.0)
    page = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Response(await station.encoded(Picture(page), "png"), media_type="image/png")


@router.post("/held/{name}/keep", status_code=204, responses=responses(404, 422))
async def keep(station: StationDep, edit: Edit) -> None:
    """Write it to the station's `kept` folder: a job for `edgedrag batch` and `calibrate`, and a pair."""
    await asyncio.to_thread(station.records.review.keep, edit.name)


@router.delete("/held/{name}", status_code=204, responses=responses(404))
async def discard(station: StationDep, edit: Edit) -> None:
    """Drop it."""
    station.records.review.discard(edit.name)
