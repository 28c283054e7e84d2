"""Links by which a visitor takes the picture along: short-lived, each with a token of its own."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from edgedrag.runtime.photo.encode import REFUSED
from edgedrag.runtime.photo.formats import PNG, format_of
from edgedrag.studio.api.problems import ApiError, responses
from edgedrag.studio.api.visitors import OpenSessionDep, StationDep
from edgedrag.studio.editing.sessions import Session

SECONDS = 300.0  # that a link lasts, or until its session ends
router = APIRouter(tags=["visitor"])


@dataclass(frozen=True)
class _Share:
    session: Session
    picture: bytes
    until: float


class Shares:
    """The links that are open, one a session; used by the event loop's thread alone."""

    def __init__(self) -> None:
        self._all: dict[str, _Share] = {}

    def add(self, session: Session, picture: bytes) -> str:
        """The token of a new link; it replaces the session's earlier one."""
        self.drop(session)
        token = secrets.token_urlsafe(16)
        self._all[token] = _Share(session, picture, time.monotonic() + SECONDS)
        return token

    def find(self, token: str) -> bytes | None:
        """The picture of a link, while it lasts."""
        now = time.monotonic()
        self._all = {name: share for name, share in self._all.items() if share.until > now}
        share = self._all.get(token)
        return None if share is None else share.picture

    def drop(self, session: Session) -> None:
        """End the links of a session."""
        self._all = {name: share for name, share in self._all.items() if share.session is not session}


class Link(BaseModel):
    """A link to a session's picture as it is now."""

    url: str
    seconds: float = Field(description="that it lasts; it ends with the session too")
    code: list[str] = Field(description="the same as a QR code: rows of 0 and 1, 1 = dark")


@router.post("/api/sessions/{session}/share", responses=responses(404, 409, 503))
async def share(request: Request, station: StationDep, session: OpenSessionDep) -> Link:
    """Make a link to the picture; only where the operator set `share_address`."""
    address = station.settings.share_address
    if address is None:
        raise ApiError(409, "this station gives no links: its operator has not set share_address")
    kind = "png" if REFUSED & set(session.jpeg_loses) else "jpeg"
    picture = await station.encoded(await station.picture(session), kind)
    if session.ended:
        raise ApiError(404, "the session ended meanwhile")
    url = f"{address.rstrip('/')}/take/{request.app.state.shares.add(session, picture)}"
    return Link(url=url, seconds=SECONDS, code=await asyncio.to_thread(qr_code, url))


@router.get(
    "/take/{token}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}, **responses(404)},
)
async def take(request: Request, token: str) -> Response:
    """The picture of a link."""
    picture = request.app.state.shares.find(token)
    if picture is None:
        raise ApiError(404, "this link has ended; make a new one at the station")
    form = format_of(picture)
    assert form is not None, "written here"
    kind, ending = ("image/png", "png") if form is PNG else ("image/jpeg", "jpg")
    return Response(
        picture, media_type=kind, headers={"Content-Disposition": f'attachment; filename="edgedrag.{ending}"'}
    )


def qr_code(text: str) -> list[str]:
    """A QR code as rows of 0 and 1, 1 = dark, without a border."""
    import segno

    return ["".join(str(int(dark)) for dark in row) for row in segno.make(text, error="m", micro=False).matrix]
