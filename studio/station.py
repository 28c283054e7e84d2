"""The station: one runtime, one worker, the sessions and the records; what the API's routes call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.drag.motion import MotionName
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture, as_rgb8, encode_picture, load_picture
from edgedrag.runtime.session.draft import OnDraft
from edgedrag.runtime.session.edit import Change, Motion, Progress
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.session.variants import ANSWER
from edgedrag.studio.editing.answers import Answer
from edgedrag.studio.editing.sessions import EditParameters, FinishedEdit, MaskUse, Session, Sessions
from edgedrag.studio.editing.worker import Busy, Superseded, Turns, Worker
from edgedrag.studio.health.logs import LOGGER, log, short
from edgedrag.studio.health.memory import sweep
from edgedrag.studio.health.metrics import Metrics
from edgedrag.studio.health.push import push_for_ever
from edgedrag.studio.health.selftest import Report, self_test
from edgedrag.studio.records.records import Records
from edgedrag.studio.releases import Releases
from edgedrag.studio.settings import Settings

MAX_UPLOADS = 8  # that are held in memory while they are read or wait to be decoded
SWEEP_SECONDS = 1.0
FOLLOW_SECONDS = 2.0
COMPARED = 20  # edits before a switch, whose times those after it are compared with


class Station:
    """Everything but HTTP. Its coroutines run on the event loop; photos are touched by the worker's thread."""

    def __init__(self, runtime: Runtime, settings: Settings):
        self.settings = settings
        self.worker = Worker(settings.queue)
        self.sessions = Sessions(settings.idle_seconds, settings.photo_megapixels)
        self.metrics = Metrics(
            lambda: self.worker.waiting, lambda: len(self.sessions), lambda: self.worker.turn_seconds
        )
        self.records = Records(lambda: self.runtime, settings, self.metrics)
        self.releases = Releases(runtime, self._recent_ms)
        self.started = time.time()
        self.on_session_end: Callable[[Session], None] = lambda session: None
        self._codec = ThreadPoolExecutor(1, "codec")  # pictures are decoded and encoded one at a time
        self._uploads = 0
        self._to_sweep = False

    @property
    def runtime(self) -> Runtime:
        """What new photos get; an open photo keeps the one that it was opened with."""
        return self.releases.runtime

    def _recent_ms(self) -> list[float]:
        return [edit["total_ms"] for edit in self.records.monitor.edits(COMPARED).result()]

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Around the reading and opening of a picture; raises Busy where too many are under way."""
        if self._uploads >= MAX_UPLOADS:
            raise Busy("many photos are being opened", 2)
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def open_photo(self, session: Session, data: bytes) -> None:
        """Decode a photo and make it the session's."""
        picture = await self._coded(load_picture, data, self.settings.max_megapixels)
        height, width = picture.pixels.shape[:2]
        self.sessions.check_capacity(session, height * width / 1e6)
        self.worker.cancel(session.id)
        await self.run(session, session.open(self.runtime, picture))
        self._look_ahead(session)
        log("photo opened", session=short(session.id), width=width, height=height)

    async def open_mask(self, session: Session, data: bytes, use: MaskUse = "area") -> None:
        """Decode a painted mask and use it."""
        picture = await self._coded(load_picture, data, self.settings.max_megapixels)
        await self.run(session, session.paint(as_rgb8(picture.pixels).max(-1), use))

    async def edit(
        self,
        session: Session,
        parameters: EditParameters,
        on_progress: Callable[[Progress], None] | None = None,
        on_draft: OnDraft | None = None,
    ) -> FinishedEdit:
        """Run an edit and record it; `on_draft` is called on the worker's thread."""
        asked = time.monotonic()
        try:
            edited: FinishedEdit = await self.run(session, session.edit(parameters, on_draft), on_progress=on_progress)
        except (InputError, Busy, Superseded):
            raise
        except Exception:
            self.releases.judge(session.runtime, True, None)
            raise
        self.records.write(session, parameters, edited, time.monotonic() - asked)
        self.releases.judge(session.runtime, edited.edit.checks.verdict == "bad", edited.edit.timings["total"])
        self._look_ahead(session)
        return edited

    async def step(self, session: Session, turns: Turns, *, brief: bool = False) -> Change:
        """Run what changes a session's photo at once: an undo (`brief`, see `Worker.submit`), a stroke and the like."""
        change: Change = await self.run(session, turns, brief=brief)
        self._look_ahead(session)
        return change

    def _look_ahead(self, session: Session) -> None:
        """Prepare for the next touch, unless something else is to be done."""
        try:
            self.worker.submit(session.id, session.look_ahead(), background=True)
        except Busy:
            pass

    async def answers(self, session: Session) -> list[Answer]:
        """Other answers to the last edit; given up (Superseded) for whatever the session asks for meanwhile."""
        found: list[Answer] = await self.run(session, session.answers(self.runtime), background=True)
        return found

    async def motion(
        self, session: Session, drags: list[Drag], motion: MotionName = "auto", answer: str = ANSWER
    ) -> Motion:
        """A preview; one that waits is replaced by a newer one of the session (Superseded)."""
        asked = time.monotonic()
        moved: Motion = await self.run(session, session.motion(drags, motion, answer), replaceable=True)
        self.metrics.previews.inc()
        self.metrics.preview_seconds.observe(time.monotonic() - asked)
        return moved

    async def run(
        self,
        session: Session,
        turns: Turns,
        *,
        replaceable: bool = False,
        background: bool = False,
        brief: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Any:
        """Queue work of a session and wait for it; raises Busy, Superseded or what the work raises."""
        job = self.worker.submit(
            session.id, turns, replaceable=replaceable, background=background, brief=brief, on_progress=on_progress
        )
        try:
            return await asyncio.wrap_future(job.done)
        except Superseded:
            if not (replaceable or background):
                self.metrics.cancelled.inc()
            raise

    async def picture(self, session: Session) -> Picture:
        """The photo with the edits that were asked for before."""
        job = self.worker.newest(session.id)
        if job is not None:
            with suppress(Exception):  # told to whoever asked for it
                await asyncio.wrap_future(job.done)
        return session.opened().picture

    async def encoded(self, picture: Picture, kind: str) -> bytes:
        """The whole picture as a file: png, webp or jpeg."""
        return await self._coded(encode_picture, Path(f"picture.{kind}"), picture, self.settings.mark)

    async def mask_file(self, session: Session, use: MaskUse = "area") -> bytes | None:
        """The session's mask at the page's size as PNG; None where there is none yet."""
        mask = session.painted(use)
        return None if mask is None else await self.encoded(Picture(mask), "png")

    async def _coded(self, work: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._codec, work, *values)

    def end(self, session: Session) -> None:
        """Wipe a session."""
        self.worker.cancel(session.id)
        self.sessions.end(session)
        self.on_session_end(session)
        self._to_sweep = True
        log("session wiped", session=short(session.id))

    async def sweep_idle(self) -> None:
        """Wipe idle sessions, for ever."""
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self.settings.idle_seconds / 4))
            while idle := self.sessions.idle():
                self.metrics.wiped.inc()
                self.end(idle.pop())
            if self._to_sweep and not self.worker.waiting:
                self._to_sweep = False
                await asyncio.to_thread(sweep)

    async def follow_releases(self) -> None:
        """Open the release that serves whenever another one does, for ever."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.follow_release()
            except Exception as error:
                self.failed(error)

    async def follow_release(self) -> None:
        """The same once."""
        newer = await asyncio.to_thread(self.releases.open_newer)
        if newer is not None:
            self.releases.adopt(newer)

    async def push_metrics(self) -> None:
        """Push the metrics where the settings say, for ever."""
        if self.settings.push_gateway is not None:
            await push_for_ever(self.settings.push_gateway, self.settings.station_name, self.records.metrics_now)

    async def test(self) -> Report:
        """The self-test, through the same queue as visitors' edits."""
        session = Session("self-test")
        report: Report = await self.run(session, self_test(self.runtime))
        log("self-test", passed=report.passed, **report.figures)
        return Report(report.problems, {**report.figures, "disk_free_mb": round(self.records.disk_free_mb)})

    def failed(self, error: BaseException) -> None:
        """Record an error of the station: its kind and place, nothing that a visitor brought."""
        self.records.failed(f"{type(error).__name__}: {error}")
        LOGGER.error("failed", exc_info=error)

    def close(self) -> None:
        """Stop the worker and finish writing."""
        self.worker.stop()
        self._codec.shutdown(wait=False, cancel_futures=True)
        self.records.monitor.close()
