"""What the runtime asks of an engine: load a graph, run it on arrays that stay with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgedrag.runtime.bundle.graphs import Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle

Array = Any  # an engine's own array, which may live on a device


class CompiledGraph(Protocol):
    """A graph that is ready to run."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run on arrays by input name; returns all outputs by name."""
        ...


class Backend(Protocol):
    """One engine on one device."""

    name: str
    device: str
    placements: tuple[str, ...]  # the forms of a graph that it runs ("ort", "tensorrt", "cuda"), tried in this order
    precisions: tuple[str, ...]  # that it runs, the preferred one first

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> CompiledGraph:
        """Make a bundle's graph ready. Raises BundleError or EngineError where it cannot."""
        ...

    def sizes(self, bundle: Bundle, precision: str) -> list[tuple[int, int]]:
        """Which of the bundle's window sizes (H, W) it can run."""
        ...

    def upload(self, array: np.ndarray) -> Array: ...

    def download(self, array: Array) -> np.ndarray: ...

    def wait(self) -> None:
        """Until all that was begun is done: for honest timings."""
        ...


class OnnxBackend:
    """What engines share that compile ONNX files when a bundle is opened: every size runs."""

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> CompiledGraph:
        return self.compile(graph, bundle.verified_file(variant), precision)

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        """An ONNX file with the graph's inputs and outputs, ready to run."""
        raise NotImplementedError

    def sizes(self, bundle: Bundle, precision: str) -> list[tuple[int, int]]:
        return bundle.sizes

    def wait(self) -> None:
        """Nothing is ever under way: a run returns when it is done."""
