"""What the runtime asks of an engine: compile a graph file, run it on arrays that stay with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgedrag.runtime.bundle import Graph

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
    placement: str  # which Q/DQ placement of a graph it wants, "ort" or "tensorrt"
    precisions: tuple[str, ...]  # that it runs, the preferred one first

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph: ...

    def upload(self, array: np.ndarray) -> Array: ...

    def download(self, array: Array) -> np.ndarray: ...
