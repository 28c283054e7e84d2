"""The HTTP API of a visitor's session."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response

import edgedrag
from edgedrag.runtime.photo.formats import PNG, READ, Format, format_of
from edgedrag.studio.api.problems import ApiError, responses
from edgedrag.studio.api.schemas import About, EditRequest, EditResult, SessionState, StrokeRequest, result, state
from edgedrag.studio.editing.frames import view
from edgedrag.studio.editing.sessions import MaskUse, Session
from edgedrag.studio.station import Station

# What a photo may be sent as. Its content says which format it has: a file of another name has another type.
PHOTO_TYPES = (
    *("image/jpeg", "image/png", "image/webp", "image/tiff", "image/avif", "image/heic", "image/heif", "image/gif"),
    *("image/bmp", "image/x-ms-bmp", "application/octet-stream"),
)
TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}

router = APIRouter(prefix="/api/sessions", tags=["visitor"])
about_router = APIRouter(prefix="/api", tags=["visitor"])


async def get_station(request: Request) -> Station:
    return request.app.state.station


StationDep = Annotated[Station, Depends(get_station)]


@about_router.get("/about")
async def about(station: StationDep) -> About:
    """What a visitor may know before a session begins."""
    return About(
        version=edgedrag.__version__,
        started=station.started,
        idle_seconds=station.settings.idle_seconds,
        pixels_kept=station.records.review.pixels,
        shares=station.settings.share_address is not None,
    )


async def get_session(
    station: StationDep, session: Annotated[str, Path(description="as POST /api/sessions gave it")]
) -> Session:
    found = station.sessions.find(session)
    if found is None:
        raise ApiError(404, "no such session; it may have been wiped after a pause: begin a new one")
    return found


async def get_open_session(session: Annotated[Session, Depends(get_session)]) -> Session:
    if session.photo is None:
        raise ApiError(409, "no photo yet: PUT one to /api/sessions/{session}/photo first")
    return session


SessionDep = Annotated[Session, Depends(get_session)]
OpenSessionDep = Annotated[Session, Depends(get_open_session)]


def picture_body(*types: str) -> dict[str, Any]:
    """The OpenAPI description of a body that is a picture."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}
    return {"requestBody": {"required": True, "content": content}}


def picture_answer(*types: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in types}}}


PHOTO_BODY = picture_body(*PHOTO_TYPES)


async def read_picture(request: Request, types: Sequence[str], formats: Sequence[Format]) -> bytes:
    """The body, of one of the types and formats; the type "" stands for none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise ApiError(415, f"send one of {', '.join(filter(None, types))}")
    data = await request.body()
    if data and format_of(data) not in formats:
        raise ApiError(415, f"the file is not {' or '.join(form.name for form in formats)}")
    return data


@router.post("", status_code=201, responses=responses(503))
async def begin(station: StationDep) -> SessionState:
    """Begin a session; its name is the key to it, so keep it."""
    return state(station, station.sessions.begin())


@router.get("/{session}", responses=responses(404))
async def look(station: StationDep, session: SessionDep) -> SessionState:
    """The session as it is."""
    return state(station, session)


@router.delete("/{session}", status_code=204, responses=responses(404))
async def end(station: StationDep, session: SessionDep) -> None:
    """Wipe the session: photo, mask and edits."""
    station.end(session)


@router.put("/{session}/photo", responses=responses(404, 408, 413, 415, 422, 503), openapi_extra=PHOTO_BODY)
async def put_photo(station: StationDep, session: SessionDep, request: Request) -> SessionState:
    """Open a photo; an earlier one and its edits are gone. `warnings` says what of the file was left out."""
    with station.uploading():
        await station.open_photo(session, await read_picture(request, (*PHOTO_TYPES, ""), READ))
    return state(station, session)


@router.get(
    "/{session}/view", response_class=Response, responses={**picture_answer("image/png"), **responses(404, 409, 422)}
)
async def get_view(station: StationDep, session: OpenSessionDep, original: bool = False) -> Response:
    """The picture as it is now, or the photo, shrunk by a whole number so that no side is longer than 2048, as PNG."""
    picture = session.original if original else session.opened().picture
    assert picture is not None, "opened"
    data, _ = await asyncio.to_thread(view, picture)
    return Response(data, media_type="image/png")


@router.get(
    "/{session}/picture",
    response_class=Response,
    responses={**picture_answer(*TYPES.values()), **responses(404, 409, 422)},
)
async def get_picture(
    station: StationDep, session: OpenSessionDep, format: Literal["png", "webp", "jpeg"] = "png"
) -> Response:
    """The picture at full size, to be saved; png and webp are lossless, and keep profile and EXIF as jpeg does."""
    data = await station.encoded(await station.picture(session), format)
    headers = {"Content-Disposition": f'attachment; filename="edgedrag.{format}"'}
    return Response(data, media_type=TYPES[format], headers=headers)


@router.put(
    "/{session}/mask", responses=responses(404, 408, 409, 413, 415, 422, 503), openapi_extra=picture_body("image/png")
)
async def put_mask(
    station: StationDep, session: OpenSessionDep, request: Request, use: MaskUse = "area"
) -> SessionState:
    """Paint a mask: a PNG as large as the photo, or mask_width x mask_height. White may change in the next edit, or
    must not in any (`protect`), or is put back by the WebSocket's `restore`."""
    with station.uploading():
        await station.open_mask(session, await read_picture(request, ("image/png",), (PNG,)), use)
    return state(station, session)


@router.get(
    "/{session}/mask", response_class=Response, responses={**picture_answer("image/png"), **responses(404, 409, 422)}
)
async def get_mask(station: StationDep, session: OpenSessionDep, use: MaskUse = "area") -> Response:
    """The painted mask, or the one that the last edit used, mask_width x mask_height, 255 = may change."""
    data = await station.mask_file(session, use)
    if data is None:
        raise ApiError(409, "no mask yet: paint one or make an edit")
    return Response(data, media_type="image/png")


@router.delete("/{session}/mask", responses=responses(404, 409, 422, 503))
async def delete_mask(station: StationDep, session: OpenSessionDep, use: MaskUse = "area") -> SessionState:
    """Back to masks made from the drags, or to no protection."""
    await station.run(session, session.paint(None, use))
    return state(station, session)


@router.post("/{session}/edits", responses=responses(400, 404, 409, 413, 415, 422, 503))
async def edit(station: StationDep, session: OpenSessionDep, request: EditRequest) -> EditResult:
    """Make an edit and wait for it."""
    edited = await station.edit(session, request.parameters(station))
    return EditResult(**result(station, session, edited))


@router.post("/{session}/strokes", responses=responses(400, 404, 409, 413, 415, 422, 503))
async def stroke(station: StationDep, session: OpenSessionDep, request: StrokeRequest) -> SessionState:
    """Make a stroke of a brush and wait for it."""
    await station.step(session, session.stroke(request.parameters()))
    return state(station, session)


@router.post("/{session}/undo", responses=responses(404, 409, 503))
async def undo(station: StationDep, session: OpenSessionDep) -> SessionState:
    """Take the last edit back."""
    if not session.undo_count:
        raise ApiError(409, "nothing to undo")
    await station.step(session, session.undo(), brief=True)
    return state(station, session)


@router.post("/{session}/redo", responses=responses(404, 409, 503))
async def redo(station: StationDep, session: OpenSessionDep) -> SessionState:
    """Make an undone edit again."""
    if not session.redo_count:
        raise ApiError(409, "nothing to redo")
    await station.step(session, session.redo(), brief=True)
    return state(station, session)
