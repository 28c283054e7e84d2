"""OpenVINO on the CPU: an optional engine, for processors that multiply bfloat16 or INT8 in hardware."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.backends.base import OnnxBackend
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import BundleError, EngineError
from edgedrag.runtime.system.cpus import default_threads
from edgedrag.runtime.system.processor import cpu_name, multiplies_int8


@cache
def shared_core() -> Any:
    """The process's only `openvino.Core`, which is never freed.

    OpenVINO's CPU plugin runs signal handlers on a stack of its own and, when a Core is freed, puts back the stack that
    it found. Where two Cores overlap, that may be one that is freed already: the next signal, as Ctrl-C or the end of a
    child process, then ends the process with a segmentation fault (seen with OpenVINO 2026.4).
    """
    import openvino  # here, so that this module can be imported where the engine is not installed

    return openvino.Core()


class OpenVinoGraph:
    """A model, compiled when a picture size is first met: what is fixed can be planned ahead."""

    def __init__(self, core: Any, graph: Graph, file: Path, hint: str, threads: int):
        self._core, self._graph, self._file = core, graph, file
        self._hints = {
            "INFERENCE_PRECISION_HINT": hint,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        self._requests: dict[tuple[tuple[int, ...], ...], Any] = {}
        try:
            model = core.read_model(str(file))
        except RuntimeError as error:
            raise EngineError(f"{file}: OpenVINO cannot load this graph ({error})", Code.ENGINE_REFUSED) from None
        names = [{port.any_name for port in ports} for ports in (model.inputs, model.outputs)]
        if names != [{t.name for t in graph.inputs}, set(graph.file_outputs.values())]:
            raise BundleError(f"{file}: inputs and outputs are not those that the manifest names")

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {t.name: inputs[t.name] for t in self._graph.inputs}
        found = self._request(given).infer(given, share_inputs=True)
        # A request gives views of buffers that its next run overwrites.
        return {name: np.array(found[stored]) for name, stored in self._graph.file_outputs.items()}

    def _request(self, given: Mapping[str, np.ndarray]) -> Any:
        """The compiled model for these sizes; the number of drags stays open."""
        shapes = {
            t.name: [-1 if dim == "N" else size for dim, size in zip(t.shape, given[t.name].shape)]
            for t in self._graph.inputs
        }
        key = tuple(map(tuple, shapes.values()))
        if key not in self._requests:
            model = self._core.read_model(str(self._file))
            model.reshape(shapes)
            try:
                compiled = self._core.compile_model(model, "CPU", self._hints)
            except RuntimeError as error:
                reason = f"{self._file}: OpenVINO cannot compile this graph ({error})"
                raise EngineError(reason, Code.ENGINE_REFUSED) from None
            self._requests[key] = compiled.create_infer_request()
        return self._requests[key]


class OpenVinoCpu(OnnxBackend):
    """See `base.Backend`."""

    name = "openvino"
    placements: tuple[str, ...] = ("ort",)

    def __init__(self, threads: int | None = None):
        self.core = shared_core()
        self.device, self.threads = cpu_name(), threads or default_threads()
        # Where the processor multiplies bfloat16, that is both faster than INT8 and nearer to fp32.
        fast = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        exact = ("int8", "fp32", "fp16") if multiplies_int8() else ("fp32", "int8", "fp16")
        self.precisions: tuple[str, ...] = ("bf16", *exact) if fast else exact

    def compile(self, graph: Graph, file: Path, precision: str) -> OpenVinoGraph:
        return OpenVinoGraph(self.core, graph, file, "bf16" if precision == "bf16" else "f32", self.threads)

    def upload(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array)

    def download(self, array: np.ndarray) -> np.ndarray:
        return array
