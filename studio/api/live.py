"""The WebSocket of a visitor's session: previews while the finger moves, progress, results.

Messages to the station are JSON (schemas.INCOMING); from it, JSON text and binary frames (frames.py). Each
answer carries the `id` of what it answers.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.session.edit import Progress
from edgedrag.studio.api.guard import PROTOCOL
from edgedrag.studio.api.schemas import INCOMING, EditMessage, PreviewMessage, as_drags, result, state
from edgedrag.studio.editing.frames import motion_frame, pack, view
from edgedrag.studio.editing.sessions import Change, Edited, Session
from edgedrag.studio.editing.worker import Busy, Superseded
from edgedrag.studio.station import Station

MOST_UNSENT = 32  # answers that may wait for a slow page, before it is hung up on
MOST_MISTAKES = 20  # messages that make no sense, before the same
TOO_SLOW, MISTAKEN, WIPED, MOVED, UNKNOWN = 1013, 1008, 4001, 4002, 4004  # close codes

router = APIRouter()


class Line:
    """One page's connection. A preview that was not sent yet gives way to a newer one."""

    def __init__(self, socket: WebSocket, station: Station, session: Session):
        self._socket, self._station, self._session = socket, station, session
        self._unsent: deque[str | bytes] = deque()
        self._preview: bytes | None = None
        self._something = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._close_with: int | None = None

    async def serve(self) -> None:
        """Until the page goes, the session ends or the connection is taken over."""
        sender = asyncio.create_task(self._send())
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait((sender, reader), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sender, reader, *self._tasks):
                task.cancel()
            await asyncio.gather(sender, reader, *self._tasks, return_exceptions=True)
            if self._close_with != MOVED:  # what runs then is the new page's
                self._station.engine.cancel(self._session.id)
            if self._close_with is not None:
                await self._hang_up(self._close_with)

    def close(self, code: int) -> None:
        """End the connection."""
        self._close_with = self._close_with or code
        self._something.set()

    async def _hang_up(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except RuntimeError:
            pass  # the page was faster

    async def _read(self) -> None:
        mistakes = 0
        while mistakes < MOST_MISTAKES:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                wish = INCOMING.validate_json(message.get("text") or "")
            except ValidationError as error:
                mistakes += 1
                self._say({"type": "error", "id": None, "code": "unusable", "detail": _first(error)})
                continue
            self._session.touch()
            self._take(wish)
        self.close(MISTAKEN)

    def _take(self, wish: Any) -> None:
        if isinstance(wish, PreviewMessage):
            self._start(wish.id, self._show_motion(wish))
        elif isinstance(wish, EditMessage):
            self._station.engine.cancel(self._session.id)  # an edit that still runs is outdated
            self._start(wish.id, self._edit(wish))
        elif wish.type == "cancel":
            self._station.engine.cancel(self._session.id)
        elif wish.type in ("undo", "redo"):
            self._start(wish.id, self._step_back_or_forth(wish.id, wish.type))

    async def _show_motion(self, wish: PreviewMessage) -> None:
        motion = await self._station.motion(self._session, as_drags(wish.drags))
        self._preview = motion_frame(motion, {"type": "preview", "id": wish.id})
        self._something.set()

    async def _edit(self, wish: EditMessage) -> None:
        def tell(progress: Progress) -> None:
            news = {"type": "progress", "id": wish.id, "step": progress.step, "steps": progress.steps}
            self._loop.call_soon_threadsafe(self._say, news)

        edited = await self._station.edit(self._session, wish.wish(self._station), tell)
        await self._show(wish.id, "result", edited)

    async def _step_back_or_forth(self, number: int, which: str) -> None:
        turns = self._session.undo() if which == "undo" else self._session.redo()
        await self._show(number, which, await self._station.run(self._session, turns))

    async def _show(self, number: int, kind: str, change: Change) -> None:
        """Send the part of the view that a change touched."""
        patch, box = await asyncio.to_thread(view, change.picture, change.box)
        header: dict[str, Any] = {"type": kind, "id": number, "box": box}
        if isinstance(change, Edited):
            header |= result(self._station, self._session, change)
        else:
            header["state"] = state(self._station, self._session).model_dump()
        self._say(pack(header, patch))

    def _start(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._answered(number, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Run work; what goes wrong becomes a message."""
        try:
            await work
        except Superseded:
            self._say({"type": "cancelled", "id": number})
        except Busy as busy:
            self._station.metrics.busy.inc()
            self._say({"type": "busy", "id": number, "detail": str(busy), "retry_after": busy.retry_after})
        except EdgedragError as error:
            self._say({"type": "error", "id": number, "code": "unusable", "detail": str(error)})
        except Exception as error:
            self._station.failed(error)
            self._say({"type": "error", "id": number, "code": "failed", "detail": "the station failed at this"})

    def _say(self, message: dict[str, Any] | bytes) -> None:
        self._unsent.append(message if isinstance(message, bytes) else json.dumps(message))
        if len(self._unsent) > MOST_UNSENT:
            self.close(TOO_SLOW)
        self._something.set()

    async def _send(self) -> None:
        while self._close_with is None:
            await self._something.wait()
            self._something.clear()
            while self._unsent or self._preview is not None:
                message: str | bytes
                if self._unsent:
                    message = self._unsent.popleft()
                else:
                    message, self._preview = self._preview or b"", None
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(message)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


@router.websocket("/api/sessions/{name}/live")
async def live(socket: WebSocket, name: str) -> None:
    """A page's connection; a newer one of the same session takes its place."""
    station: Station = socket.app.state.station
    lines: dict[str, Line] = socket.app.state.lines
    session = station.sessions.find(name)
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
    if session is None:
        await socket.close(UNKNOWN)
        return
    if name in lines:
        lines[name].close(MOVED)
    line = lines[name] = Line(socket, station, session)
    try:
        await line.serve()
    except WebSocketDisconnect:
        pass
    finally:
        if lines.get(name) is line:
            del lines[name]
