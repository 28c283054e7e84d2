"""Implementations of the peers in `peers`; each runs in its own process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.baselines import bidirectional_warp
from edgedrag.runtime.backends.base import Array, Backend, CompiledGraph, OnnxBackend
from edgedrag.runtime.bundle.graphs import HOLD, Graph
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.photo.picture import as_rgb8, load_picture
from edgedrag.runtime.session.photo import Photo
from edgedrag.runtime.session.runtime import Runtime


def open_peer(name: str, runtime: Runtime) -> Any:
    """A replacement for a runtime: `load` returns a photo with `drag` and `undo`.

    Raises:
        EdgedragError: the peer does not support this bundle.
    """
    if name == "classical":
        return Classical()
    if name == "diffusers-sd15":
        from edgedrag.benchmarks.latency.inpainting import Inpainting  # here: it imports diffusers

        return Inpainting()
    if name == "io-binding":
        for _, _, compiled in runtime.stages.graphs():
            compiled.update({branch: Bound(graph) for branch, graph in compiled.items()})
        return runtime
    if name == "unsplit":
        for _, _, compiled in runtime.stages.graphs():
            compiled.update({branch: HostCopies(graph, runtime) for branch, graph in compiled.items()})
        return Unsplit(runtime)
    backend: Any = TorchBackend(runtime, compiled=name == "torch-compile")
    own, runtime.backend, runtime.stages.backend = runtime.backend, backend, backend
    for stage, graph, compiled in runtime.stages.graphs():
        if stage == HOLD:
            compiled.update({branch: KeptGraph(kept, own, backend) for branch, kept in compiled.items()})
        else:
            compiled.update(dict.fromkeys(compiled, backend.network(graph)))
    return runtime


class Classical:
    """The bidirectional warp baseline, at the photo's native size."""

    def load(self, image: str | Path | np.ndarray) -> ClassicalPhoto:
        return ClassicalPhoto(as_rgb8(load_picture(image).pixels))


@dataclass
class ClassicalPhoto:
    image: np.ndarray

    def drag(self, drags: list[Any], mask: np.ndarray, steps: int | None = None) -> np.ndarray:
        points = np.array([[*handle, *target] for handle, target in drags], np.float32)
        return bidirectional_warp(self.image, points, mask != 0)

    def undo(self) -> None:
        """Does nothing: drags do not change the photo."""


class Bound:
    """A graph on ONNX Runtime's CPU provider whose inputs and outputs are bound; it allocates the outputs itself."""

    def __init__(self, graph: Any):
        self._session, self._inputs, self._outputs = graph._session, graph._inputs, graph._outputs
        self._binding = self._session.io_binding()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        for name in self._inputs:
            self._binding.bind_ortvalue_input(name, inputs[name])
        for name in self._outputs.values():
            self._binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(self._binding)
        return dict(zip(self._outputs, self._binding.get_outputs()))


@dataclass
class HostCopies:
    """A graph whose inputs and outputs are copied through host memory."""

    graph: Any
    runtime: Runtime

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        backend = self.runtime.backend
        outputs = self.graph.run({n: backend.upload(np.array(backend.download(v))) for n, v in inputs.items()})
        return {name: backend.upload(np.array(backend.download(value))) for name, value in outputs.items()}


@dataclass
class Unsplit:
    """A runtime that reloads the photo for every drag."""

    runtime: Runtime

    def load(self, image: str | Path | np.ndarray) -> UnsplitPhoto:
        return UnsplitPhoto(self.runtime, self.runtime.load(image).image)


@dataclass
class UnsplitPhoto:
    runtime: Runtime
    image: np.ndarray

    def drag(self, drags: list[Any], mask: np.ndarray, steps: int | None = None) -> Any:
        photo: Photo = self.runtime.load(self.image)
        return photo.drag(drags, mask, steps=steps)

    def undo(self) -> None:
        """Does nothing: each drag used a new photo."""


class TorchGraph:
    """A PyTorch network in place of the graph that was exported from it."""

    def __init__(self, graph: Graph, network: Any, torch: Any):
        self._network, self._torch = network, torch
        self._inputs, self._outputs = [t.name for t in graph.inputs], [t.name for t in graph.outputs]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with self._torch.no_grad():
            outputs = self._network(*[inputs[name] for name in self._inputs])
        return dict(zip(self._outputs, outputs if isinstance(outputs, tuple) else (outputs,)))


class KeptGraph:
    """A graph of the runtime's own backend among PyTorch's networks."""

    def __init__(self, graph: CompiledGraph, own: Backend, torch: Backend):
        self._graph, self._own, self._torch = graph, own, torch

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = {name: self._own.upload(self._torch.download(value)) for name, value in inputs.items()}
        return {name: self._torch.upload(self._own.download(made)) for name, made in self._graph.run(given).items()}


class TorchBackend(OnnxBackend):
    """A backend that runs the embedded generator's networks in PyTorch, but for the hold's.

    The generator's checkpoint has no weights of the hold.
    """

    name, device = "cpu", "PyTorch"
    placements: tuple[str, ...] = ("ort",)
    precisions: tuple[str, ...] = ("fp32",)

    def __init__(self, runtime: Runtime, compiled: bool):
        import torch

        from edgedrag.generator.training.checkpoint import clone_checkpoint, load_checkpoint

        file = clone_checkpoint()
        if sha256_of(file) != runtime.bundle.manifest["provenance"]["checkpoint_sha256"]:
            raise EdgedragError("PyTorch networks are available for the shipped bundle only")
        self._torch, self._compiled = torch, compiled
        self._generator = load_checkpoint(file)[0].eval()

    def network(self, graph: Graph) -> TorchGraph:
        network = getattr(self._generator, graph.name)
        return TorchGraph(graph, self._torch.compile(network) if self._compiled else network, self._torch)

    def upload(self, array: np.ndarray) -> Array:
        return self._torch.from_numpy(np.array(array))

    def download(self, array: Array) -> np.ndarray:
        return array.numpy()
