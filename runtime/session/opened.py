"""What a photo uses of the `Runtime` that opened it."""

from __future__ import annotations

from typing import Protocol

from edgedrag.runtime.backends.base import Backend
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.selection.select import Fallback


class Opened(Protocol):
    """A bundle on a backend; the attributes are those of `Runtime`."""

    bundle: Bundle
    stages: Stages
    backend: Backend
    precision: str
    fallback: tuple[Fallback, ...]

    def more_precise(self) -> Stages | None:
        """Stages of higher precision, for a result that is no picture."""
        ...
