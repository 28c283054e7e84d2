"""A pool of Ray workers: every task once, one more try where a worker dies, and the sentence where it dies again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgedrag.runtime.cluster.pool import Died, Pool

pytest.importorskip("ray", reason="ray is not installed; the extra [cluster] brings it")
pytestmark = pytest.mark.slow


def doubling() -> type:
    """A worker's class; made in a function, so that it goes to other processes by value."""

    class Doubling:
        """Doubles; is killed by "always", and by "once" where the file in its folder is not there yet."""

        def __init__(self, folder: Path):
            self._mark = folder / "died"

        def run(self, task: Any) -> Any:
            if task == "always" or (task == "once" and not self._mark.exists()):
                self._mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return task * 2

    return Doubling


def test_tasks_are_done_once_and_tried_again_where_a_worker_dies(tmp_path: Path) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[tuple[str, Any]]:
        for number in range(8):
            taken.append(number)
            yield str(number), number
        yield "once", "once"
        yield "always", "always"

    with Pool("auto", doubling(), (tmp_path,)) as pool:
        found: dict[str, Any] = {}
        for name, result in pool.run(tasks(), workers=1):
            assert name not in found
            found[name] = result
            assert len(taken) <= len(found) + 1, "no more are taken than there are workers"
    assert {name: found[name] for name in map(str, range(8))} == {str(n): 2 * n for n in range(8)}
    assert found["once"] == "onceonce"
    assert isinstance(found["always"], Died) and "its worker died 2 times" in found["always"].reason
