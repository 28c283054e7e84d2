"""The worker's queue: turns go round, the bound holds, newer requests take the place of older ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator

import pytest

from edgedrag.runtime.session.edit import Progress
from edgedrag.studio.editing.worker import Busy, Superseded, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(bound=6)
    yield made
    made.stop()


class Gate:
    """Work that holds the worker until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened, self.closed = threading.Event(), threading.Event(), False

    def turns(self) -> Generator[Progress, None, str]:
        self.entered.set()
        self.opened.wait(10)
        try:
            yield Progress(0, 1)
        except GeneratorExit:
            self.closed = True
            raise
        return "gate"


def steps(log: list[str], name: str, count: int) -> Generator[Progress, None, str]:
    for step in range(count):
        log.append(name)
        yield Progress(step, count)
    return name


def test_sessions_take_turns_and_each_keeps_its_order(worker: Worker) -> None:
    gate, log = Gate(), []
    worker.submit("gate", gate.turns())
    gate.entered.wait(10)
    jobs = [worker.submit("a", steps(log, "a1", 3)), worker.submit("a", steps(log, "a2", 1))]
    jobs += [worker.submit("b", steps(log, "b", 3))]
    gate.opened.set()
    assert [job.done.result(10) for job in jobs] == ["a1", "a2", "b"]
    assert log[:6] == ["a1", "b", "a1", "b", "a1", "b"], "nobody waits for another's whole edit"
    assert log[6:] == ["a2"]


def test_a_full_queue_is_busy_and_recovers(worker: Worker) -> None:
    gate = Gate()
    jobs = [worker.submit("gate", gate.turns())]
    gate.entered.wait(10)
    jobs += [worker.submit(f"s{k}", steps([], "x", 1)) for k in range(5)]
    with pytest.raises(Busy, match="try again in 1 s"):
        worker.submit("late", steps([], "x", 1))
    gate.opened.set()
    for job in jobs:
        job.done.result(10)
    assert worker.submit("late", steps([], "late", 1)).done.result(10) == "late"
    assert worker.waiting == 0


def fill(worker: Worker, places: int) -> Gate:
    """Take so many places of an empty queue, until the gate is opened."""
    gate = Gate()
    worker.submit("gate", gate.turns())
    assert gate.entered.wait(10)
    for k in range(places - 1):
        worker.submit(f"s{k}", steps([], "x", 1))
    return gate


def drain(worker: Worker, gate: Gate) -> None:
    gate.opened.set()
    for _ in range(1000):
        if not worker.waiting:
            return
        time.sleep(0.01)
    raise AssertionError("the queue does not end")


def test_who_was_refused_comes_before_who_asks_later(worker: Worker) -> None:
    gate = fill(worker, 6)
    for name in ("first", "second", "first"):
        with pytest.raises(Busy):
            worker.submit(name, steps([], "x", 1))
    drain(worker, gate)
    gate = fill(worker, 4)
    for late in ({}, {"replaceable": True}, {"background": True}):
        with pytest.raises(Busy):  # two are free, and held
            worker.submit("late", steps([], "x", 1), **late)
    jobs = [worker.submit(name, steps([], name, 1)) for name in ("second", "first")]
    drain(worker, gate)
    assert [job.done.result(10) for job in jobs] == ["second", "first"]


def test_who_was_refused_and_does_not_return_loses_the_place(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgedrag.studio.editing.worker.CLAIM_SECONDS", -1.0)
    gate = fill(worker, 6)
    with pytest.raises(Busy):
        worker.submit("gone", steps([], "x", 1))
    drain(worker, gate)
    drain(worker, fill(worker, 6))


def test_a_refusal_says_when_the_place_is_there(worker: Worker) -> None:
    def slow(seconds: float) -> Generator[Progress, None, None]:
        time.sleep(seconds)
        yield from ()

    jobs = [worker.submit(f"s{k}", slow(0.15)) for k in range(6)]
    for job in jobs:
        job.done.result(10)
    gate = fill(worker, 6)
    waits = []
    for k in range(40):
        with pytest.raises(Busy) as refused:
            worker.submit(f"late {k}", steps([], "x", 1))
        waits.append(refused.value.retry_after)
    drain(worker, gate)
    assert waits == sorted(waits) and waits[0] == 1 and 4 <= waits[-1] <= 10, "the later in the line the longer"


def test_an_undo_is_not_refused_where_the_queue_is_full(worker: Worker) -> None:
    gate = fill(worker, 6)
    jobs = [worker.submit("s1", steps([], "undo", 1), brief=True) for _ in range(6)]
    with pytest.raises(Busy):
        worker.submit("s1", steps([], "undo", 1), brief=True)
    drain(worker, gate)
    assert {job.done.result(10) for job in jobs} == {"undo"}


def test_the_newest_preview_takes_the_place_of_those_that_wait(worker: Worker) -> None:
    gate, log = Gate(), []
    worker.submit("a", gate.turns())
    gate.entered.wait(10)
    old = worker.submit("a", steps(log, "old", 1), replaceable=True)
    edit = worker.submit("a", steps(log, "edit", 1))
    other = worker.submit("b", steps(log, "other", 1), replaceable=True)
    new = worker.submit("a", steps(log, "new", 1), replaceable=True)
    with pytest.raises(Superseded):
        old.done.result(10)
    gate.opened.set()
    assert [job.done.result(10) for job in (edit, other, new)] == ["edit", "other", "new"]
    assert "old" not in log


def test_cancelling_ends_a_running_job_at_its_next_step(worker: Worker) -> None:
    gate, log = Gate(), []
    running = worker.submit("a", gate.turns())
    waiting, other = worker.submit("a", steps(log, "a", 1)), worker.submit("b", steps(log, "b", 1))
    gate.entered.wait(10)
    worker.cancel("a")
    gate.opened.set()
    for job in (running, waiting):
        with pytest.raises(Superseded):
            job.done.result(10)
    assert gate.closed and other.done.result(10) == "b" and log == ["b"]


def test_an_error_reaches_who_asked_and_the_engine_goes_on(worker: Worker) -> None:
    def broken() -> Generator[Progress, None, None]:
        yield Progress(0, 1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        worker.submit("a", broken()).done.result(10)
    assert worker.submit("a", steps([], "next", 1)).done.result(10) == "next"


def test_progress_is_reported_and_a_long_turn_is_seen(worker: Worker) -> None:
    gate, reported = Gate(), []
    job = worker.submit("a", gate.turns(), on_progress=reported.append)
    gate.entered.wait(10)
    assert worker.turn_seconds > 0
    gate.opened.set()
    job.done.result(10)
    assert reported == [Progress(0, 1)]


def test_work_in_the_background_makes_room_for_any_other_of_its_session(worker: Worker) -> None:
    gate, log = Gate(), []  # type: ignore[var-annotated]
    running = worker.submit("a", gate.turns(), background=True)
    assert gate.entered.wait(10)
    waiting = worker.submit("a", steps(log, "unwanted", 3), background=True)
    other = worker.submit("b", steps(log, "b", 1))
    asked = worker.submit("a", steps(log, "asked", 1))
    gate.opened.set()
    for job in (running, waiting):
        with pytest.raises(Superseded):
            job.done.result(10)
    asked.done.result(10), other.done.result(10)
    assert gate.closed and "unwanted" not in log and set(log) == {"asked", "b"}


def test_work_in_the_background_takes_half_of_the_queue(worker: Worker) -> None:
    gate = Gate()
    worker.submit("a", gate.turns())
    assert gate.entered.wait(10)
    for name in "bc":
        worker.submit(name, steps([], name, 1), background=True)
    with pytest.raises(Busy):
        worker.submit("d", steps([], "d", 1), background=True)
    worker.submit("d", steps([], "d", 1))
    gate.opened.set()


def test_the_newest_job_is_one_that_somebody_waits_for(worker: Worker) -> None:
    gate = Gate()
    asked = worker.submit("one", gate.turns())
    assert gate.entered.wait(10)
    worker.submit("one", steps([], "ahead", 1), background=True)
    assert worker.newest("one") is asked and worker.newest("another") is None
    gate.opened.set()
    assert asked.done.result(10) == "gate"
