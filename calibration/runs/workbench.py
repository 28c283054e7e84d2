"""A running bundle whose graphs can be replaced: to record tensors, or to try changed graphs."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from edgedrag.export.graph_file import LARGE, read_graph, share_data
from edgedrag.export.weight_file import WeightFile
from edgedrag.runtime.backends.base import Array, CompiledGraph, OnnxBackend
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.graphs import DRAG_STAGES, Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages, choose_precision
from edgedrag.runtime.session.runtime import Runtime

Place = tuple[str, str]  # a graph's name and the name of one of its branches
Listener = Callable[[Mapping[str, Array], Mapping[str, Array]], None]  # called with inputs and outputs by name


@runtime_checkable
class Releasable(Protocol):
    """A graph that can free its memory and reload when it runs."""

    def release(self) -> None: ...


class Slot:
    """A graph's place in a running bundle.

    Attributes:
        substitute: the graph that runs instead of the bundle's, if any.
        listener: called after each run.
    """

    def __init__(self, backend: _SlotBackend, graph: Graph, file: Path):
        self._backend, self._graph, self._file = backend, graph, file
        self._own: CompiledGraph | None = None
        variant = next(v for v in graph.variants if v.file == file.name)
        self.large = variant.nbytes(file.parent) > LARGE  # then it is loaded only while no other graph is
        self.substitute: CompiledGraph | None = None
        self.listener: Listener | None = None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = (self.substitute or self.own()).run(inputs)
        if self.listener is not None:
            self.listener(inputs, outputs)
        return outputs

    def release(self) -> None:
        """Free memory until the graph runs again."""
        self._own = None
        if isinstance(self.substitute, Releasable):
            self.substitute.release()

    def own(self) -> CompiledGraph:
        """The bundle's graph, compiled on first use."""
        if self._own is None:
            if self.large:
                self._backend.free_memory()
                self._own = LargeGraph(self._graph, self._file)
            else:
                self._own = self._backend.inner.compile(self._graph, self._file, "fp32")
        return self._own


def session_options(large: bool) -> ort.SessionOptions:
    """Session options; those for a large graph keep the weights memory-mapped, neither prepacked nor reordered."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if large:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_cpu_mem_arena = False
    return options


class LargeGraph:
    """A graph in a session with minimal memory."""

    def __init__(self, graph: Graph, file: Path):
        self._session = ort.InferenceSession(str(file), session_options(True), providers=["CPUExecutionProvider"])
        self._inputs, self._outputs = [t.name for t in graph.inputs], graph.file_outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        feeds = {name: inputs[name] for name in self._inputs}
        values = self._session.run_with_ort_values(list(self._outputs.values()), feeds)
        return {name: copied(value) for name, value in zip(self._outputs, values)}


def copied(value: Array) -> Array:
    """A copy of a tensor: a run's outputs keep its whole arena alive, gigabytes for a large graph."""
    return ort.OrtValue.ortvalue_from_numpy(np.array(value.numpy()))


class TurnTaking:
    """A changed large graph: stored on disk, and in memory from its run until another large graph runs."""

    def __init__(self, bench: Workbench, graph: str, model: ir.Model, folder: Path):
        """`folder`: empty, on the file system of the bundle's weights; deleted with this object."""
        self._bench, self._graph, self._file = bench, bench.graphs[graph], folder / f"{graph}.onnx"
        self._loaded: LargeGraph | None = None
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        WeightFile(folder / "changed.data").take(model, from_files=False)
        ir.save(model, self._file)

    def release(self) -> None:
        self._loaded = None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if self._loaded is None:
            self._bench.free_memory()
            with self._bench.linked(self._graph.name, self._file.parent):
                self._loaded = LargeGraph(self._graph, self._file)
        return self._loaded.run(inputs)


class _SlotBackend(OnnxBackend):
    """A backend that wraps each graph of another backend in a slot."""

    def __init__(self, inner: OnnxRuntimeCpu):
        self.inner = inner
        self.name, self.device = inner.name, inner.device
        self.placements, self.precisions = inner.placements, inner.precisions
        self.slots: dict[str, Slot] = {}  # by file name

    def compile(self, graph: Graph, file: Path, precision: str) -> Slot:
        return self.slots.setdefault(file.name, Slot(self, graph, file))

    def free_memory(self) -> None:
        """Free the memory of all graphs until they run again; arenas of small graphs are gigabytes too."""
        for slot in self.slots.values():
            slot.release()
        trim = getattr(ctypes.pythonapi, "malloc_trim", None)  # glibc keeps freed memory otherwise
        if trim is not None:
            trim(0)

    def upload(self, array: np.ndarray) -> Array:
        return self.inner.upload(array)

    def download(self, array: Array) -> np.ndarray:
        return self.inner.download(array)


class Workbench:
    """A bundle in fp32 on the CPU.

    Attributes:
        runtime: runs drags.
        graphs: of a drag, by name.
        files: graph -> branch -> its file.
        slots: by place.
    """

    def __init__(self, bundle: Bundle, scratch: Path):
        """`scratch`: an empty folder for changed graphs, preferably on the bundle's file system."""
        self.bundle, self._scratch = bundle, scratch
        self._originals: dict[Place, ir.Model] = {}
        self._backend = _SlotBackend(OnnxRuntimeCpu())
        precision = choose_precision(bundle, self._backend, "fp32")
        self.runtime = Runtime(bundle, Stages(bundle, self._backend, precision))
        self.graphs = {graph.name: graph for _, graph in bundle.graphs(DRAG_STAGES)}
        self.files = {name: own_files(graph) for name, graph in self.graphs.items()}
        self.slots: dict[Place, Slot] = {
            (name, branch): self._backend.slots[variant.file]
            for name, files in self.files.items()
            for branch, variant in files.items()
        }

    def model(self, graph: str, branch: str = "single") -> ir.Model:
        """A fresh copy of a graph in fp32, to be changed; large weights stay on disk."""
        return read_graph(self.bundle.folder / self.files[graph][branch].file)

    def original(self, graph: str, branch: str = "single") -> ir.Model:
        """A graph in fp32, only to be looked at; read once, unless it is large."""
        if self.is_large(graph):
            return self.model(graph, branch)
        if (graph, branch) not in self._originals:
            self._originals[graph, branch] = self.model(graph, branch)
        return self._originals[graph, branch]

    def is_large(self, graph: str) -> bool:
        return self.slots[graph, "single"].large

    def compile(self, graph: str, model: ir.Model) -> CompiledGraph:
        """Compile a changed graph with the inputs and outputs of the original."""
        if self.is_large(graph):
            return TurnTaking(self, graph, model, Path(tempfile.mkdtemp(dir=self._scratch)))
        with self.saved(graph, model) as file:
            return self._backend.inner.compile(self.graphs[graph], file, "fp32")

    @contextmanager
    def saved(self, graph: str, model: ir.Model) -> Iterator[Path]:
        """The path of a changed graph's file, with its external data, while the context is open."""
        if self.is_large(graph):
            self.free_memory()
        file = self._scratch / f"{graph}.onnx"
        ir.save(model, file)
        try:
            with self.linked(graph, self._scratch):
                yield file
        finally:
            file.unlink()

    def inner_session(self, place: Place, names: Iterable[str]) -> ort.InferenceSession:
        """A session of the bundle's graph with these intermediate tensors as additional outputs."""
        graph, model = place[0], self.model(*place)
        with_outputs(model, names)
        with self.saved(graph, model) as file:
            options = session_options(self.is_large(graph))
            return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def download(self, tensors: Mapping[str, Array]) -> dict[str, np.ndarray]:
        """Copies of tensors: an engine's outputs may be views of memory that it reuses."""
        return {name: np.array(self._backend.download(array)) for name, array in tensors.items()}

    def restore(self) -> None:
        """Remove all substitutes and listeners."""
        for slot in self.slots.values():
            slot.substitute = slot.listener = None

    def free_memory(self) -> None:
        """Free memory for a large graph; see `_SlotBackend`."""
        self._backend.free_memory()

    @contextmanager
    def linked(self, graph: str, folder: Path) -> Iterator[None]:
        """Put a graph's external data into a folder while the context is open; it must be in the graph's folder.

        Unlink afterwards: it may be a hard link (see `share_data`).
        """
        names = [name for name, _ in self.files[graph]["single"].external]
        for name in names:
            share_data(self.bundle.folder / name, folder)
        try:
            yield
        finally:
            for name in names:
                (folder / name).unlink()


def with_outputs(model: ir.Model, names: Iterable[str]) -> None:
    """Add these tensors to a graph's outputs."""
    there = {value.name for value in (*model.graph.inputs, *model.graph.outputs)}
    wanted = set(names) - there
    for node in model.graph:
        model.graph.outputs.extend(value for value in node.outputs if value.name in wanted)


def own_files(graph: Graph) -> dict[str, Variant]:
    """The fp32 files of a graph, by branch."""
    return graph.files("fp32", "ort")
