"""Tensors of earlier drags that stay on the backend, the last used ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from edgedrag.runtime.backends.base import Array

LIMIT = 4


class Kept:
    """Up to `LIMIT` sets of tensors, each under what it was made from."""

    def __init__(self) -> None:
        self._sets: OrderedDict[Hashable, dict[str, Array]] = OrderedDict()

    def find(self, made_from: Hashable) -> dict[str, Array] | None:
        """The tensors, or None where there are none."""
        if made_from not in self._sets:
            return None
        self._sets.move_to_end(made_from)
        return self._sets[made_from]

    def put(self, made_from: Hashable, tensors: dict[str, Array]) -> None:
        """Keep tensors; those that were not used for longest go."""
        self._sets[made_from] = dict(tensors)
        self._sets.move_to_end(made_from)
        while len(self._sets) > LIMIT:
            self._sets.popitem(last=False)
