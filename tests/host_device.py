"""The host's memory as a device, ONNX Runtime as its engines: the device backends' logic, run for real on a CPU.

Freed memory is gone: what still reads it (a recording on old addresses) fails here, and loudly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edgedrag.runtime.backends.device.graph import DeviceBackend, DeviceGraph, Size
from edgedrag.runtime.backends.device.interface import Network
from edgedrag.runtime.bundle.graphs import Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle

PAGE = 256


class HostRecording:
    def __init__(self, calls: list[Callable[[], None]]):
        self._calls = calls

    def run(self) -> None:
        for call in self._calls:
            call()

    def release(self) -> None:
        self._calls = []


class HostDevice:
    """See `device.Device`. `capacity`: bytes that there are."""

    def __init__(self, capacity: int = 1 << 34):
        self.capacity, self.allocations, self.replays, self.records = capacity, 0, 0, 0
        self.memory: dict[int, np.ndarray] = {}
        self.weights = 0  # bytes that networks take
        self._next = PAGE
        self._calls: list[Callable[[], None]] | None = None

    def allocate(self, nbytes: int) -> int:
        if nbytes > self.free_bytes():
            raise MemoryError
        address, self._next = self._next, self._next + (nbytes // PAGE + 1) * PAGE
        self.memory[address] = np.full(nbytes, 0xA5, np.uint8)
        self.allocations += 1
        return address

    def free(self, address: int) -> None:
        del self.memory[address]

    def free_bytes(self) -> int:
        return self.capacity - self.weights - sum(part.nbytes for part in self.memory.values())

    def write(self, address: int, array: np.ndarray) -> None:
        self.memory[address][: array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def read(self, address: int, array: np.ndarray) -> None:
        array.reshape(-1).view(np.uint8)[:] = self.memory[address][: array.nbytes]

    def copy(self, to: int, source: int, nbytes: int) -> None:
        self.memory[to][:nbytes] = self.memory[source][:nbytes]

    def wait(self) -> None:
        """All is done at once."""

    @property
    def is_recording(self) -> bool:
        return self._calls is not None

    def put(self, call: Callable[[], None]) -> None:
        """Work for the stream: done now, or recorded."""
        if self._calls is None:
            call()
        else:
            self._calls.append(call)

    def record(self, work: Callable[[], None]) -> HostRecording:
        self._calls, self.records = [], self.records + 1
        try:
            work()
            return HostRecording(self._calls)
        finally:
            self._calls = None


class HostNetwork:
    """See `device.Network`."""

    def __init__(self, device: HostDevice, graph: Graph, file: Path, nbytes: int):
        if nbytes > device.free_bytes():
            raise MemoryError
        self._device, self._nbytes, device.weights = device, nbytes, device.weights + nbytes
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session: ort.InferenceSession | None = ort.InferenceSession(str(file), options)
        self._inputs = {t.name: np.dtype(t.dtype) for t in graph.inputs}
        self._bound: dict[str, tuple[int, tuple[int, ...]]] = {}

    def bind(self, name: str, address: int, shape: tuple[int, ...]) -> None:
        self._bound[name] = (address, shape)

    def scratch_bytes(self) -> int:
        return 1000 + 100 * len(self._inputs)

    def enqueue(self, scratch: int, scratch_bytes: int) -> None:
        bound = dict(self._bound)  # a recording keeps the addresses that it was made with
        self._device.put(lambda: self._run(bound, scratch, scratch_bytes))

    def release(self) -> None:
        self._session, self._device.weights = None, self._device.weights - self._nbytes

    def _run(self, bound: dict[str, tuple[int, tuple[int, ...]]], scratch: int, scratch_bytes: int) -> None:
        assert self._session is not None, "released"
        self._device.memory[scratch][:scratch_bytes] = 0
        feeds = {}
        for name, dtype in self._inputs.items():
            address, shape = bound[name]
            feeds[name] = np.empty(shape, dtype)
            self._device.read(address, feeds[name])
        names = [name for name in bound if name not in feeds]
        for name, values in zip(names, self._session.run(names, feeds)):
            self._device.write(bound[name][0], values)


class HostBackend(DeviceBackend):
    """See `base.Backend`: a device backend whose engines are a bundle's fp32 files, each `weight` bytes large."""

    name, device = "tensorrt", "host"
    placements: tuple[str, ...] = ("tensorrt",)
    precisions: tuple[str, ...] = ("fp32",)

    def __init__(self, capacity: int = 1 << 34, budget: int | None = None, weight: int = 1000):
        self.host, self.weight = HostDevice(capacity), weight
        self.loads: list[str] = []
        super().__init__(self.host, budget)

    def sizes(self, bundle: Bundle, precision: str) -> list[tuple[int, int]]:
        return bundle.sizes

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> DeviceGraph:
        def engine(size: Size) -> tuple[int, Callable[[], Network]]:
            def make() -> Network:
                self.loads.append(graph.name)
                return HostNetwork(self.host, graph, bundle.verified_file(variant), self.weight)

            return self.weight, make

        seldom = graph in bundle.stages["reference"]
        return DeviceGraph(graph, f"{graph.name} {variant.branch} {precision}", self.workspace, engine, seldom)
