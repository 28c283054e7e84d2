"""Which networks' weights lie in device memory: loaded when needed, and released when it is short.

First go those that run once a photo (the `reference` stage), then the longest unused. Drags run the others in the same
order again and again, where the longest unused alone would always be the next one needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol

from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError


class Resident(Protocol):
    """Something that takes device memory until it is released."""

    def release(self) -> None: ...


class Residency:
    """Residents by name, the longest unused first."""

    def __init__(self, budget: int | None = None):
        """`budget`: bytes for all of them; without one, until the device has no more."""
        self._budget = budget
        self._residents: OrderedDict[Hashable, tuple[Resident, int, bool]] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        return sum(nbytes for _, nbytes, _ in self._residents.values())

    def find(self, name: Hashable) -> Resident | None:
        """A resident, which counts as used now."""
        if name not in self._residents:
            return None
        self._residents.move_to_end(name)
        return self._residents[name][0]

    def load(self, name: Hashable, nbytes: int, make: Callable[[], Resident], seldom: bool = False) -> Resident:
        """Make a resident of `nbytes`; others go for it where budget or device ask for that.

        Args:
            seldom: it runs once a photo, and is among the first to go.

        Raises:
            EngineError: "out-of-memory": it is larger than the budget, or than what can be freed.
        """
        if self._budget is not None and nbytes > self._budget:
            raise EngineError(
                f"{name}: takes {nbytes / 1e6:.0f} MB of device memory, the budget is {self._budget / 1e6:.0f} MB; "
                "raise --memory-budget",
                Code.OUT_OF_MEMORY,
            )
        while self._budget is not None and self.held_bytes + nbytes > self._budget:
            self.release_one()
        while True:
            try:
                resident = make()
                break
            except MemoryError:
                if not self.release_one():
                    raise EngineError(
                        f"{name}: {nbytes / 1e6:.0f} MB do not fit into the device's memory; close other programs",
                        Code.OUT_OF_MEMORY,
                    ) from None
        self._residents[name] = (resident, nbytes, seldom)
        return resident

    def release_one(self, running: bool = False) -> bool:
        """Release a resident; whether there was one. Where one is `running`, that is the last used, and stays."""
        names = list(self._residents)[: -1 if running else None]
        if not names:
            return False
        name = next((n for n in names if self._residents[n][2]), names[0])
        self._residents.pop(name)[0].release()
        return True
