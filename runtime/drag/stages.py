"""The stages of a bundle on a backend: graphs in order, joined by tensor name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from threading import Thread

import numpy as np

from edgedrag.runtime.backends.base import Array, Backend, CompiledGraph
from edgedrag.runtime.bundle.graphs import STAGES, Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.trace import span

Supply = Callable[[str], np.ndarray]  # makes a graph input (runtime/bundle/graph_inputs.py) by name


def choose_precision(bundle: Bundle, backend: Backend, precision: str = "auto") -> str:
    """The precision to run: as asked, or the backend's first choice for which every graph has what it needs.

    Raises:
        EngineError: the bundle or the backend lacks it; the message says what there is.
    """
    shared = [p for p in backend.precisions if has_files(bundle, backend, p)]
    if precision not in ("auto", *shared) or not shared:
        raise EngineError(
            f"bundle '{bundle.name}' has no precision '{precision}' for backend '{backend.name}'; "
            f"it has: {', '.join(shared) or 'none'}",
            Code.NO_PRECISION,
        )
    if precision != "auto":
        return precision
    return next((p for p in shared if is_complete(bundle, backend, p)), shared[0])


def has_files(bundle: Bundle, backend: Backend, precision: str) -> bool:
    """Whether every graph has a file of a precision that a backend reads."""
    return all("single" in files(graph, backend, precision) for _, graph in bundle.graphs())


def is_complete(bundle: Bundle, backend: Backend, precision: str) -> bool:
    """Whether a backend has all that it needs to run a precision: files, and engines where these are built ahead."""
    try:
        return has_files(bundle, backend, precision) and bool(backend.sizes(bundle, precision))
    except EngineError:
        return False


def files(graph: Graph, backend: Backend, precision: str, placement: str | None = None) -> dict[str, Variant]:
    """The files of a graph that a backend runs, by branch; of its first placement if none is given."""
    # bfloat16 has no files: an engine rounds fp32's by itself.
    return graph.files("fp32" if precision == "bf16" else precision, placement or backend.placements[0])


class Stages:
    """A bundle's graphs, compiled.

    Attributes:
        placement: of the backend's placements, the one whose files are read.
        sizes: the window sizes (H, W) that they run at.
    """

    def __init__(
        self, bundle: Bundle, backend: Backend, precision: str, placement: str | None = None, aside: bool = False
    ):
        """`placement`: the backend's first if it is None. `aside`: load in a thread; `wait` before anything else."""
        self.backend = backend
        self.precision = precision
        self.placement = placement or backend.placements[0]
        self.sizes = backend.sizes(bundle, precision)
        self._graphs: dict[str, list[tuple[Graph, dict[str, CompiledGraph]]]] = {}
        self._fault: BaseException | None = None
        self._stopped = False
        self._loader = Thread(target=self._load_aside, args=(bundle,)) if aside else None
        if self._loader is None:
            self._load(bundle)
        else:
            self._loader.start()

    def _load(self, bundle: Bundle) -> None:
        for stage in STAGES:
            self._graphs[stage] = []
            for graph in bundle.stages[stage]:
                compiled: dict[str, CompiledGraph] = {}
                for branch, variant in files(graph, self.backend, self.precision, self.placement).items():
                    if self._stopped:
                        return
                    with span(f"load {graph.name}", "open", branch=branch):
                        compiled[branch] = self.backend.load(bundle, graph, variant, self.precision)
                self._graphs[stage].append((graph, compiled))

    def _load_aside(self, bundle: Bundle) -> None:
        try:
            self._load(bundle)
        except BaseException as fault:  # `wait` raises it
            self._fault = fault

    def wait(self) -> None:
        """Until the graphs are loaded; raises what loading them raised."""
        if self._loader is not None:
            try:
                self._loader.join()
            except BaseException:  # Ctrl-C: the process ends when the thread does
                self._stopped = True
                raise
            self._loader = None
        if self._fault is not None:
            raise self._fault

    def graphs(self) -> Iterator[tuple[str, Graph, dict[str, CompiledGraph]]]:
        """Stage, graph and its compiled graphs by branch, in the order of a drag; the caller may replace these."""
        for stage in STAGES:
            for graph, compiled in self._graphs[stage]:
                yield stage, graph, compiled

    def has_pair(self) -> bool:
        """Whether `denoise` has a guidance pair beside the single branch."""
        return all("pair" in compiled for _, compiled in self._graphs["denoise"])

    def run(
        self,
        stage: str,
        tensors: dict[str, Array],
        supply: Supply,
        branch: str = "single",
        until: str | None = None,
        available: Collection[str] = (),
    ) -> None:
        """Run a stage's graphs in order, up to the one that makes the tensor `until`.

        Args:
            tensors: by name, on the backend: outputs of earlier stages and inputs already uploaded.
                What this stage makes or uploads is added.
            supply: called for every input that is not yet there.
            available: tensors of this stage from an earlier drag; a graph that makes no others is skipped.
        """
        for graph, compiled in self._graphs[stage]:
            if all(tensor.name in available for tensor in graph.outputs):
                continue
            for tensor in graph.inputs:
                if tensor.name not in tensors:
                    values = supply(tensor.name).astype(tensor.dtype, copy=False)
                    with span("upload", "copy", tensor=tensor.name):
                        tensors[tensor.name] = self.backend.upload(values)
            taken = branch if branch in compiled else "single"
            with span(graph.name, "graph", stage=stage, branch=taken):
                tensors.update(compiled[taken].run(tensors))
            if until in tensors:
                break
