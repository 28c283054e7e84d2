"""A cache of tensors on the backend, from earlier drags and holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from edgedrag.runtime.backends.base import Array

LIMIT = 4


class LruCache:
    """Up to `limit` sets of named tensors; the least recently used one is dropped first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._sets: OrderedDict[Hashable, dict[str, Array]] = OrderedDict()

    def find(self, key: Hashable) -> dict[str, Array] | None:
        """The tensors stored under a key, or None."""
        if key not in self._sets:
            return None
        self._sets.move_to_end(key)
        return self._sets[key]

    def put(self, key: Hashable, tensors: dict[str, Array]) -> None:
        """Store tensors, which the caller may change afterwards."""
        self._sets[key] = dict(tensors)
        self._sets.move_to_end(key)
        while len(self._sets) > self._limit:
            self._sets.popitem(last=False)
