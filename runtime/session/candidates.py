"""Several answers to one drag."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.session.arguments import whole_number
from edgedrag.runtime.session.edit import Edit, Progress
from edgedrag.runtime.session.variants import MAX_CANDIDATES

Made = TypeVar("Made")


def check_count(count: int) -> None:
    """Raise InputError where so many candidates cannot be made."""
    if not 1 <= whole_number("count", count) <= MAX_CANDIDATES:
        raise InputError(f"count: {count} is not from 1 to {MAX_CANDIDATES}")


def distinct(edits: Iterable[Edit], count: int) -> list[Edit]:
    """The first `count` edits whose pictures differ; no more of them are made."""
    found: list[Edit] = []
    for edit in edits:
        if not any(np.array_equal(edit.image, other.image) for other in found):
            found.append(edit)
        if len(found) == count:
            break
    return found


def side_by_side(made: Iterator[Callable[[], Edit]], count: int) -> Iterator[Edit]:
    """The edits of what engines made; the first `count` are finished while the engines make the next."""
    from concurrent.futures import ThreadPoolExecutor  # here: candidates alone need it, and it takes a while to import

    with ThreadPoolExecutor(1) as pool:
        first = [pool.submit(finish) for finish in islice(made, count)]
        yield from (edit.result() for edit in first)
    yield from (finish() for finish in made)


def run_to_end(steps: Generator[Progress, None, Made]) -> Made:
    """What a generator of progress returns."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value
