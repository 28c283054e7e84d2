"""One worker thread for all sessions, with a bounded, fair queue.

A job is a generator; each `next` is a turn. Sessions with work take turns (round robin), so nobody waits for
another's whole edit; within a session jobs keep their order. Where the queue was full, places that become free are for
those that were refused, in the order in which they first asked.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from edgedrag.runtime.session.edit import Progress
from edgedrag.runtime.trace import span, waited

Turns = Generator[Progress, None, Any]
CLAIM_SECONDS = 1.5  # that a place is held for a session that was refused, beyond the time after which it is to ask
LONGEST_WAIT = 10  # seconds after which it is to ask again, at most


class Busy(Exception):
    """The queue is full; try again in `retry_after` seconds."""

    def __init__(self, what: str, retry_after: int = 1):
        super().__init__(f"{what}; try again in {retry_after} s")
        self.retry_after = retry_after


class Superseded(Exception):
    """The job was cancelled, or replaced by a newer request."""


class Job:
    """Work of one session. `done` gets its result, or Superseded, or what it raised."""

    def __init__(
        self, turns: Turns, replaceable: bool, background: bool, on_progress: Callable[[Progress], None] | None
    ):
        self.done: Future[Any] = Future()
        self.done.set_running_or_notify_cancel()  # a waiter may go away; jobs are dropped by `drop`
        self.replaceable = replaceable
        self.background = background
        self.cancelled = False
        self.started = False
        self.queued = time.perf_counter_ns()
        self._turns = turns
        self._on_progress = on_progress

    def turn(self) -> bool:
        """Run to the next step; whether the job is over."""
        if self.cancelled:
            self.drop()
            return True
        try:
            progress = next(self._turns)
        except StopIteration as finished:
            self.done.set_result(finished.value)
            return True
        except Exception as error:
            self.done.set_exception(error)
            return True
        if self._on_progress is not None:
            self._on_progress(progress)
        return False

    def drop(self) -> None:
        """End it without a result."""
        self._turns.close()
        self.done.set_exception(Superseded())


class Worker:
    """The thread and its queues. Every method may be called from any thread."""

    def __init__(self, bound: int):
        self.turns_since_start = 0
        self._bound = bound
        self._ready = threading.Condition()
        self._queues: dict[str, deque[Job]] = {}  # by session, in the order of its requests
        self._order: deque[str] = deque()  # sessions with work, the next one first
        self._gap = 0.2  # seconds from one job's end to the next one's, smoothed
        self._ended: float | None = None  # when the last job ended; None where no other waited
        self._claims: dict[str, float] = {}  # sessions that were refused, the first one first, and until when
        self._turn_began: float | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def submit(
        self,
        session: str,
        turns: Turns,
        *,
        replaceable: bool = False,
        background: bool = False,
        brief: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Job:
        """Queue a job behind the session's others.

        Args:
            replaceable: dropped for a newer replaceable job of the session while it waits.
            background: makes room for any newer job of the session, and takes at most half of the queue.
            brief: takes a moment only, and a place of as many again as the queue has, so that no undo is refused.
            on_progress: called before each step, on the worker's thread.

        Raises:
            Busy: as many jobs wait as the queue holds, what is free is for sessions that were refused before, or the
                worker is stopped. Other than for replaceable and background jobs, a place is held from then on.
        """
        job = Job(turns, replaceable, background, on_progress)
        with self._ready:
            queue = self._queues.get(session, deque())
            outdated = [old for old in queue if old.background or (replaceable and old.replaceable)]
            running = [old for old in outdated if old.started]
            outdated = [old for old in outdated if not old.started]
            bound = self._bound // 2 if background else self._bound * 2 if brief else self._bound
            held = 0 if brief else self._claimed_before(session)
            missing = held + 1 - (bound - self._waiting() + len(outdated))
            if self._stopped or missing > 0:
                turns.close()
                wait = min(max(math.ceil(missing * self._gap), 1), LONGEST_WAIT)
                if not (replaceable or background):
                    self._claims[session] = time.monotonic() + wait + CLAIM_SECONDS
                raise Busy("the station is busy", wait)
            if not (replaceable or background):
                self._claims.pop(session, None)
            for old in running:
                old.cancelled = old.background or old.cancelled  # it ends at its next step
            for old in outdated:
                queue.remove(old)
                old.drop()
            if session not in self._queues:
                self._queues[session] = queue
                self._order.append(session)
            queue.append(job)
            self._ready.notify()
        return job

    def newest(self, session: str) -> Job | None:
        """The last job of a session that is no background one."""
        with self._ready:
            return next((job for job in reversed(self._queues.get(session, ())) if not job.background), None)

    def cancel(self, session: str) -> None:
        """Drop all jobs of a session; a running one ends at its next step."""
        with self._ready:
            for job in self._queues.get(session, ()):
                job.cancelled = True

    def stop(self) -> None:
        """Accept no more jobs, and drop those that wait."""
        with self._ready:
            self._stopped = True
            for queue in self._queues.values():
                for job in queue:
                    job.cancelled = True
            self._ready.notify()
        self._thread.join(timeout=5)

    @property
    def waiting(self) -> int:
        """Jobs in the queue, the running one included."""
        with self._ready:
            return self._waiting()

    @property
    def turn_seconds(self) -> float:
        """How long the current turn has lasted; 0 between turns."""
        began = self._turn_began
        return 0.0 if began is None else time.monotonic() - began

    def _waiting(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def _claimed_before(self, session: str) -> int:
        """Places that are held for other sessions that were refused earlier than this one."""
        now = time.monotonic()
        self._claims = {name: until for name, until in self._claims.items() if until > now}
        return next((place for place, name in enumerate(self._claims) if name == session), len(self._claims))

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._order:
                    if self._stopped:
                        return
                    self._ready.wait()
                session = self._order.popleft()
                queue = self._queues[session]
                job = queue[0]
                if not job.started:
                    waited("queue wait", "queue", job.queued)
                job.started = True
            self._turn_began = time.monotonic()
            with span("turn", "turn"):
                over = job.turn()
            self._turn_began = None
            self.turns_since_start += 1
            with self._ready:
                if over:
                    queue.popleft()
                    now = time.monotonic()
                    if self._ended is not None:
                        self._gap += 0.1 * (now - self._ended - self._gap)
                    self._ended = now if queue or self._order else None
                if queue:
                    self._order.append(session)  # behind all others
                else:
                    del self._queues[session]
            del job, queue  # a session that is wiped meanwhile must not be kept alive here
