"""A bundle's graph on a device: what it is bound to, what is copied, what is recorded.

Arrays stay on the device from graph to graph. What changes from step to step (the latent, noise, the sampler's
numbers) is copied to a fixed place first, a few kilobytes, so that one recording serves all steps; everything else
is read where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgedrag.runtime.backends.device.buffers import Buffers, DeviceArray
from edgedrag.runtime.backends.device.interface import Device, Network
from edgedrag.runtime.backends.device.recordings import Recordings, Signature
from edgedrag.runtime.backends.device.residency import Residency
from edgedrag.runtime.bundle.graph_inputs import STEP_INPUTS
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.trace import on_device

Size = tuple[int, int]


class Workspace:
    """What the graphs of one backend share: memory, loaded networks, and one scratch, for they run one at a time."""

    def __init__(self, device: Device, budget: int | None = None):
        self.device = device
        self.residency = Residency(budget)
        self.buffers = Buffers(device, lambda: self.residency.release_one(running=True))
        self._scratch = (0, 0)

    def scratch(self, nbytes: int) -> tuple[int, int]:
        """Address and size of memory for a network's inner tensors; grows, never shrinks."""
        address, size = self._scratch
        if size < nbytes:
            if size:
                self.buffers.free(address)
            self._scratch = (0, 0)
            self._scratch = (self.buffers.allocate(nbytes), nbytes)
        return self._scratch


class DeviceBackend:
    """What backends share whose arrays are a device's memory."""

    def __init__(self, device: Device, budget: int | None = None):
        """`budget`: bytes of device memory for weights."""
        self.workspace = Workspace(device, budget)

    def upload(self, array: np.ndarray) -> DeviceArray:
        values = np.ascontiguousarray(array)
        made = self.workspace.buffers.take("upload", values.shape, values.dtype)
        with on_device("upload", "copy", self.wait):
            self.workspace.device.write(made.address, values)
        return made

    def download(self, array: DeviceArray) -> np.ndarray:
        values = np.empty(array.shape, array.dtype)
        with on_device("download", "copy", self.wait):
            self.workspace.device.read(array.address, values)
        return values

    def wait(self) -> None:
        self.workspace.device.wait()


class LoadedNetwork:
    """A network in device memory and what was recorded of it."""

    def __init__(self, network: Network, workspace: Workspace):
        self.network = network
        self.recordings = Recordings(workspace.device)

    def release(self) -> None:
        self.recordings.clear()
        self.network.release()


class DeviceGraph:
    """See `base.CompiledGraph`."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        workspace: Workspace,
        load: Callable[[Size], tuple[int, Callable[[], Network]]],
        seldom: bool,
        every_size: bool = False,
    ):
        """Nothing is loaded yet.

        Args:
            name: unlike that of any other network of the backend.
            load: for a window size, (0, 0) where that does not matter, how many bytes of weights its engine has, and
                what makes it a network.
            seldom: the graph runs once a photo or a point.
            every_size: one network runs all window sizes.
        """
        self._graph, self._name, self._seldom = graph, name, seldom
        self._every_size = every_size
        self._workspace = workspace
        self._load = load
        self._loop = {t.name for t in graph.outputs if graph.file_outputs[t.name] != t.name}
        self._fixed: dict[tuple[str, tuple[int, ...]], DeviceArray] = {}
        self._loaded: dict[Size, LoadedNetwork] = {}
        workspace.buffers.watch(self._forget)

    def run(self, inputs: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        sizes = window_size(self._graph, {t.name: inputs[t.name].shape for t in self._graph.inputs})
        loaded = self._network((0, 0) if self._every_size else (sizes.get("H", 0), sizes.get("W", 0)))
        bound = {t.name: self._input(t.name, inputs[t.name]) for t in self._graph.inputs}
        made: dict[str, DeviceArray] = {}
        for tensor in self._graph.outputs:
            stored, shape = self._graph.file_outputs[tensor.name], tensor.concrete(sizes)
            fixed = tensor.name in self._loop
            made[tensor.name] = array = self._take(tensor.name, shape, tensor.dtype)
            bound[stored] = self._place(stored, array) if fixed else array
        scratch = self._workspace.scratch(loaded.network.scratch_bytes())
        signature: Signature = (
            *((name, array.address, array.shape) for name, array in bound.items()),
            ("", scratch[0], ()),
        )

        def work() -> None:
            for name, array in bound.items():
                loaded.network.bind(name, array.address, array.shape)
            loaded.network.enqueue(*scratch)

        with on_device(self._graph.name, "graph", self._workspace.device.wait):
            loaded.recordings.run(signature, work)
        for name in self._loop:
            place = bound[self._graph.file_outputs[name]]
            self._workspace.device.copy(made[name].address, place.address, place.nbytes)
        return made

    def _network(self, size: Size) -> LoadedNetwork:
        name = f"{self._name} {size[0]} x {size[1]}"
        found = self._workspace.residency.find(name)
        if found is None:
            nbytes, make = self._load(size)
            found = self._workspace.residency.load(
                name, nbytes, lambda: LoadedNetwork(make(), self._workspace), self._seldom
            )
        assert isinstance(found, LoadedNetwork)
        self._loaded[size] = found
        return found

    def _input(self, name: str, array: DeviceArray) -> DeviceArray:
        if name not in self._loop | STEP_INPUTS:
            return array
        place = self._place(name, array)
        self._workspace.device.copy(place.address, array.address, array.nbytes)
        return place

    def _place(self, name: str, like: DeviceArray) -> DeviceArray:
        """The fixed place of a tensor that changes from step to step."""
        key = (name, like.shape)
        if key not in self._fixed:
            self._fixed[key] = self._take(f"{name} in place", like.shape, like.dtype)
        return self._fixed[key]

    def _take(self, name: str, shape: tuple[int, ...], dtype: object) -> DeviceArray:
        return self._workspace.buffers.take(f"{self._graph.name}.{name}", shape, dtype)  # type: ignore[arg-type]

    def _forget(self, address: int) -> None:
        for loaded in self._loaded.values():
            loaded.recordings.forget(address)


def window_size(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """H, W and N, as the shapes of a graph's inputs say."""
    found: dict[str, int] = {}
    for tensor in graph.inputs:
        for dim, size in zip(tensor.shape, shapes[tensor.name]):
            if isinstance(dim, str):
                symbol, _, divisor = dim.partition("/")
                found[symbol] = size * int(divisor or 1)
    return found
