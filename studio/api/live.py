"""The WebSocket of a visitor's session: previews while the finger moves, progress, results.

Messages to the station are JSON (schemas.INCOMING); its answers are JSON text and binary frames (frames.py).
An answer carries the `id` of its request.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.photo.picture import Picture
from edgedrag.runtime.session.draft import Draft
from edgedrag.runtime.session.edit import Progress
from edgedrag.studio.api.guard import PROTOCOL
from edgedrag.studio.api.schemas import (
    INCOMING,
    EditMessage,
    FlowMessage,
    HoldMessage,
    PreviewMessage,
    StrokeMessage,
    as_drags,
    result,
    state,
)
from edgedrag.studio.editing.frames import draft_frame, draft_times, flow_frame, motion_frame, pack, view
from edgedrag.studio.editing.sessions import Change, FinishedEdit, Session
from edgedrag.studio.editing.worker import Busy, Superseded, Turns
from edgedrag.studio.station import Station

MAX_UNSENT = 32  # answers waiting for a slow page; with more the connection is closed
MAX_INVALID = 20  # messages that cannot be read, before the connection is closed
TOO_SLOW, POLICY_VIOLATION, WIPED, MOVED, UNKNOWN = 1013, 1008, 4001, 4002, 4004  # close codes

router = APIRouter()


class Connection:
    """One page's connection. A newer preview replaces one that was not sent yet."""

    def __init__(self, socket: WebSocket, station: Station, session: Session):
        self._socket, self._station, self._session = socket, station, session
        self._outbox: deque[str | bytes] = deque()
        self._preview: bytes | None = None
        self._ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._close_with: int | None = None

    async def serve(self) -> None:
        """Until the page disconnects, the session ends or another connection takes over."""
        sender = asyncio.create_task(self._send())
        reader = asyncio.create_task(self._read())
        try:
            await asyncio.wait((sender, reader), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sender, reader, *self._tasks):
                task.cancel()
            await asyncio.gather(sender, reader, *self._tasks, return_exceptions=True)
            if self._close_with != MOVED:  # else the session's jobs belong to the new page
                self._station.worker.cancel(self._session.id)
            if self._close_with is not None:
                await self._close_socket(self._close_with)

    def close(self, code: int) -> None:
        """End the connection."""
        self._close_with = self._close_with or code
        self._ready.set()

    async def _close_socket(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except RuntimeError:
            pass  # the page closed it first

    async def _read(self) -> None:
        invalid = 0
        while invalid < MAX_INVALID:
            event = await self._socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            try:
                message = INCOMING.validate_json(event.get("text") or "")
            except ValidationError as error:
                invalid += 1
                self._queue({"type": "error", "id": None, "code": "unusable", "detail": _first_problem(error)})
                continue
            if message.type == "ping":  # from the page itself: nobody touched it
                self._queue({"type": "pong", "id": message.id})
                continue
            self._session.touch()
            self._handle(message)
        self.close(POLICY_VIOLATION)

    def _handle(self, message: Any) -> None:
        if isinstance(message, PreviewMessage):
            self._start(message.id, self._show_motion(message))
        elif isinstance(message, HoldMessage):
            self._start(message.id, self._show_hold(message))
        elif isinstance(message, EditMessage):
            self._start(message.id, self._edit(message))
        elif isinstance(message, StrokeMessage):
            self._start(message.id, self._step(message.id, "stroke", self._session.stroke(message.parameters())))
        elif isinstance(message, FlowMessage):
            self._start(message.id, self._send_flow(message))
        elif message.type == "cancel":
            self._station.worker.cancel(self._session.id)
        elif message.type == "answers":
            self._start(message.id, self._answers(message.id))
        elif message.type in ("undo", "redo", "restore"):
            self._start(message.id, self._step(message.id, message.type, getattr(self._session, message.type)(), True))

    async def _show_motion(self, message: PreviewMessage) -> None:
        asked = time.perf_counter()
        motion = await self._station.motion(self._session, as_drags(message.drags), message.motion, message.answer)
        header = {"type": "preview", "id": message.id, "ms": _milliseconds_since(asked)}
        self._preview = motion_frame(motion, header, message.grid)
        self._ready.set()

    async def _show_hold(self, message: HoldMessage) -> None:
        asked = time.perf_counter()
        outlines = await self._station.run(self._session, self._session.hold(message.point, message.answer))
        self._queue({"type": "hold", "id": message.id, "outlines": outlines, "ms": _milliseconds_since(asked)})

    async def _edit(self, message: EditMessage) -> None:
        def on_progress(progress: Progress) -> None:
            update = {"type": "progress", "id": message.id, "step": progress.step, "steps": progress.steps}
            self._loop.call_soon_threadsafe(self._queue, update)

        icc = self._session.opened().picture.icc

        def on_draft(draft: Draft) -> None:
            times = None if message.screen is None else draft_times(draft, message.screen)
            if times is None:
                return
            with suppress(InputError):  # what is left unprotected may be too small to be seen
                frame = draft_frame(draft, times, icc, {"type": "draft", "id": message.id})
                self._loop.call_soon_threadsafe(self._queue, frame)

        edited = await self._station.edit(self._session, message.parameters(self._station), on_progress, on_draft)
        await self._show(message.id, "result", edited)

    async def _answers(self, number: int) -> None:
        for place, found in enumerate(await self._station.answers(self._session)):
            header = {"type": "answer", "id": number, "place": place, "verdict": found.verdict}
            asked = {"motion": found.motion, "answer": found.answer, "seed": found.seed}
            self._queue(pack(header | asked, await self._station.encoded(Picture(found.small), "png")))

    async def _step(self, number: int, kind: str, turns: Turns, brief: bool = False) -> None:
        await self._show(number, kind, await self._station.step(self._session, turns, brief=brief))

    async def _send_flow(self, message: FlowMessage) -> None:
        window, flow = await self._station.run(self._session, self._session.flow(message.box, message.grid))
        self._queue(flow_frame(window, flow, {"type": "flow", "id": message.id}))

    async def _show(self, number: int, kind: str, change: Change) -> None:
        """Send the part of the view that a change touched."""
        patch, box = await asyncio.to_thread(view, change.picture, change.box)
        header: dict[str, Any] = {"type": kind, "id": number, "box": box}
        if isinstance(change, FinishedEdit):
            header |= result(self._station, self._session, change)
        else:
            header["state"] = state(self._station, self._session).model_dump()
        self._queue(pack(header, patch))

    def _start(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._run(number, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        """Run work; an error becomes a message."""
        try:
            await work
        except Superseded:
            self._queue({"type": "cancelled", "id": number})
        except Busy as busy:
            self._station.metrics.busy.inc()
            self._queue({"type": "busy", "id": number, "detail": str(busy), "retry_after": busy.retry_after})
        except EdgedragError as error:
            self._queue({"type": "error", "id": number, "code": "unusable", "detail": str(error)})
        except Exception as error:
            self._station.failed(error)
            self._queue({"type": "error", "id": number, "code": "failed", "detail": "the station failed at this"})

    def _queue(self, message: dict[str, Any] | bytes) -> None:
        self._outbox.append(message if isinstance(message, bytes) else json.dumps(message))
        if len(self._outbox) > MAX_UNSENT:
            self.close(TOO_SLOW)
        self._ready.set()

    async def _send(self) -> None:
        while self._close_with is None:
            await self._ready.wait()
            self._ready.clear()
            while self._outbox or self._preview is not None:
                message: str | bytes
                if self._outbox:
                    message = self._outbox.popleft()
                else:
                    message, self._preview = self._preview or b"", None
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(message)


def _milliseconds_since(began: float) -> float:
    """Since a time of `time.perf_counter`."""
    return round((time.perf_counter() - began) * 1e3, 1)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


@router.websocket("/api/sessions/{name}/live")
async def live(socket: WebSocket, name: str) -> None:
    """A page's connection; a newer one of the same session takes its place."""
    station: Station = socket.app.state.station
    connections: dict[str, Connection] = socket.app.state.connections
    session = station.sessions.find(name)
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
    if session is None:
        await socket.close(UNKNOWN)
        return
    if name in connections:
        connections[name].close(MOVED)
    connection = connections[name] = Connection(socket, station, session)
    try:
        await connection.serve()
    except WebSocketDisconnect:
        pass
    finally:
        if connections.get(name) is connection:
            del connections[name]
