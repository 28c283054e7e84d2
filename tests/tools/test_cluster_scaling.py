"""What tools/cluster_scaling.py counts, on threads in place of Ray's workers."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
from conftest import REPOSITORY

SCALING = runpy.run_path(str(REPOSITORY / "tools" / "cluster_scaling.py"))


class Threads:
    """Runs tasks as `Pool` does: one more is taken whenever one is done."""

    def run(self, tasks: Iterable[tuple[str, Any]], workers: int) -> Iterator[tuple[str, Any]]:
        coming, running = iter(tasks), dict[Future[Any], str]()
        numbers = iter(range(10**6))
        with ThreadPoolExecutor(workers) as threads:
            while True:
                while len(running) < workers and (task := next(coming, None)) is not None:
                    running[threads.submit(self.work, task[1], next(numbers) % workers)] = task[0]
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED)[0]:
                    yield running.pop(done), done.result()

    def work(self, task: tuple[float, bytes, int], worker: int) -> tuple[int, float, bytes]:
        _, seconds, picture = SCALING["sleeping"]()().run(task)
        return worker, seconds, picture


@pytest.mark.parametrize("workers", [1, 3])
def test_every_worker_is_there_before_anything_is_counted(workers: int) -> None:
    found = SCALING["run_width"](Threads(), workers, 4, (0.002, b"photo", 3))
    assert (found["workers"], found["tasks"]) == (workers, 4 * workers)
    assert found["mean_sleep_s"] >= 0.002 and found["tasks_per_second"] > 0
    assert found["most_in_memory"] <= workers


def test_a_worker_says_who_it_is_and_gives_a_picture() -> None:
    process, seconds, picture = SCALING["sleeping"]()().run((0.0, b"photo", 5))
    assert process == os.getpid() and seconds >= 0 and picture == bytes(5)
