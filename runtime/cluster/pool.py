"""Tasks on the workers of a Ray cluster: one at a time for each worker, tried once more where one dies."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from edgedrag.runtime.errors import EngineError, summary

AUTO = "auto"  # the cluster that this machine is part of, or one of this machine alone for the run
TRIES = 2
LOCAL_STORE_BYTES = 512 << 20  # of a cluster for one run: photos and pictures on their way


class Worker(Protocol):
    """What runs tasks; made once in each worker's process."""

    def run(self, task: Any) -> Any: ...


@dataclass(frozen=True)
class Died:
    """In place of a task's result: each worker that ran it died."""

    reason: str


@dataclass(frozen=True)
class _Task:
    name: str
    value: Any
    tries: int = 0


class Pool:
    """Workers of a cluster; used in a `with` statement."""

    def __init__(self, address: str, kind: type[Worker], arguments: tuple[Any, ...] = (), cpus: int = 1, gpus: int = 0):
        """Connect, or start a cluster on this machine.

        Args:
            address: "auto", or ray://HOST:PORT.
            kind: of worker, made of `arguments` in its process; takes so many CPUs and GPUs.

        Raises:
            EngineError: no cluster answers there, or it is too small for one worker.
        """
        import ray

        self._ray = ray
        _connect(ray, address)
        has = ray.cluster_resources()
        self.size = int(has.get("GPU", 0) // gpus if gpus else has.get("CPU", 0) // cpus)
        if not self.size:
            ray.shutdown()
            raise EngineError(f"--cluster {address}: it has no {gpus or cpus} free {'GPU' if gpus else 'CPUs'}")
        remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD")(kind)
        self._start = lambda: remote.remote(*arguments)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def run(self, tasks: Iterable[tuple[str, Any]], workers: int | None = None) -> Iterator[tuple[str, Any]]:
        """Run named tasks; gives name and result, or `Died`, as they are done.

        A task is taken from `tasks` when a worker is free for it, so no more are in memory than there are workers.

        Args:
            workers: at most so many; all that the cluster has room for where None.
        """
        exceptions = self._ray.exceptions
        deaths = (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.OutOfMemoryError,
                  exceptions.ObjectLostError)  # fmt: skip
        coming = (_Task(name, value) for name, value in tasks)
        again: deque[_Task] = deque()
        free = min(workers or self.size, self.size)  # places in which no worker has been started yet
        idle: list[Any] = []
        running: dict[Any, tuple[Any, _Task]] = {}

        def fill() -> None:
            nonlocal free
            while idle or free:
                task = again.popleft() if again else next(coming, None)
                if task is None:
                    return
                if idle:
                    worker = idle.pop()
                else:
                    worker, free = self._start(), free - 1
                running[worker.run.remote(task.value)] = worker, task

        fill()
        while running:
            done = self._ray.wait(list(running), num_returns=1)[0][0]
            worker, task = running.pop(done)
            try:
                result = self._ray.get(done)
                idle.append(worker)
            except deaths as error:
                free += 1
                result = Died(_why(error))
                if task.tries + 1 < TRIES:
                    again.append(replace(task, tries=task.tries + 1))
                    result = None
            fill()
            if result is not None:
                yield task.name, result


def _connect(ray: Any, address: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address == AUTO:
            try:
                ray.init(address="auto", **quiet)
            except ConnectionError:  # this machine is part of no cluster
                os.environ.setdefault("RAY_worker_niceness", "0")  # 15 starves workers where anything else runs
                ray.init(include_dashboard=False, object_store_memory=LOCAL_STORE_BYTES, **quiet)
        else:
            ray.init(address=address, **quiet)
    except Exception as error:
        raise EngineError(f"--cluster {address}: no cluster answers ({summary(error)})") from error


def _why(error: Exception) -> str:
    text = str(error).splitlines()
    return f"its worker died {TRIES} times ({text[0] if text else type(error).__name__})"
