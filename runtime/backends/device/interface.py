"""What the device backends need of a device, whichever it is: memory, copies, recordings of work, networks to run.

Everything happens in order on one stream. `cuda.CudaDevice` and `tensorrt.TensorRtNetwork` are the real ones; the tests
run the same logic on the host's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np


class Recording(Protocol):
    """Recorded work on fixed addresses."""

    def run(self) -> None: ...

    def release(self) -> None: ...


class Device(Protocol):
    """Memory by address, and a stream."""

    def allocate(self, nbytes: int) -> int:
        """Raises MemoryError where there is no room."""
        ...

    def free(self, address: int) -> None: ...

    def free_bytes(self) -> int: ...

    def write(self, address: int, array: np.ndarray) -> None: ...

    def read(self, address: int, array: np.ndarray) -> None:
        """Waits until all work is done."""
        ...

    def copy(self, to: int, source: int, nbytes: int) -> None: ...

    def wait(self) -> None:
        """Until all work is done."""
        ...

    def record(self, work: Callable[[], None]) -> Recording:
        """Record what `work` puts on the stream. Raises EngineError where that cannot be recorded."""
        ...


class Network(Protocol):
    """An engine in device memory, with one execution context."""

    def bind(self, name: str, address: int, shape: tuple[int, ...]) -> None:
        """Where an input (with its shape) or an output lies."""
        ...

    def scratch_bytes(self) -> int:
        """Memory that a run needs beside inputs, outputs and weights."""
        ...

    def enqueue(self, scratch: int, scratch_bytes: int) -> None:
        """Put one run on the stream."""
        ...

    def release(self) -> None:
        """Give the weights' memory back."""
        ...
