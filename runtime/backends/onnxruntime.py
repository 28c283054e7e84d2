"""ONNX Runtime on the CPU, and what both its backends share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import: else it makes up an ID and writes it to HOME
import onnxruntime as ort

from edgedrag.runtime.backends.base import CompiledGraph, OnnxBackend
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import BundleError, EngineError
from edgedrag.runtime.system.cpus import default_threads
from edgedrag.runtime.system.processor import cpu_name

ort.disable_telemetry_events()  # nothing leaves the device


def open_session(graph: Graph, file: Path, options: ort.SessionOptions, providers: list[Any]) -> ort.InferenceSession:
    """A session on a graph's file. Raises EngineError where it does not load, BundleError where it is another graph."""
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise EngineError(f"{file}: ONNX Runtime cannot load this graph ({error})", Code.ENGINE_REFUSED) from None
    found = ({i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()})
    if found != ({t.name for t in graph.inputs}, set(graph.file_outputs.values())):
        raise BundleError(f"{file}: inputs and outputs are not those that the manifest names")
    return session


class OrtGraph:
    """A session on the CPU; its arrays are OrtValues, so nothing is copied between graphs."""

    def __init__(self, graph: Graph, file: Path, threads: int, settings: Mapping[str, str]):
        options = ort.SessionOptions()
        # Where the number is left open, ONNX Runtime pins its threads, and complains where a container forbids that.
        options.intra_op_num_threads = threads
        for name, value in settings.items():
            options.add_session_config_entry(name, value)
        self._session = open_session(graph, file, options, ["CPUExecutionProvider"])
        self._inputs = [t.name for t in graph.inputs]
        self._outputs = graph.file_outputs

    def run(self, inputs: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        given = {name: inputs[name] for name in self._inputs}
        return dict(zip(self._outputs, self._session.run_with_ort_values(list(self._outputs.values()), given)))


class OnnxRuntimeCpu(OnnxBackend):
    """See `base.Backend`.

    Attributes:
        settings: of each session, by ONNX Runtime's names.
    """

    settings: Mapping[str, str] = {
        # Each session has its own threads; left to spin between runs, those of one graph slow down the next.
        "session.intra_op.allow_spinning": "0",
        # On an x86 without VNNI, slower INT8 kernels that do not saturate; without effect elsewhere.
        "session.x64quantprecision": "1",
    }
    name = "cpu"
    placements: tuple[str, ...] = ("ort",)

    def __init__(self, threads: int | None = None):
        self.device, self.threads = cpu_name(), threads or default_threads()
        # fp16 is for correctness; it is slower here.
        self.precisions: tuple[str, ...] = ("int8", "fp32", "fp16")

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        return OrtGraph(graph, file, self.threads, self.settings)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()
