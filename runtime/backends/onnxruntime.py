"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edgedrag.runtime.backends.processor import cpu_name, multiplies_int8
from edgedrag.runtime.bundle import Graph
from edgedrag.runtime.errors import BundleError


class OrtGraph:
    """A session; its arrays are OrtValues, so nothing is copied between graphs."""

    def __init__(self, graph: Graph, file: Path):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # Each session has its own threads; left to spin between runs, those of one graph slow down the next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise BundleError(f"{file}: ONNX Runtime cannot load this graph ({error})") from None
        self._inputs = [t.name for t in graph.inputs]
        self._outputs = graph.file_outputs
        found = ({i.name for i in self._session.get_inputs()}, {o.name for o in self._session.get_outputs()})
        if found != (set(self._inputs), set(self._outputs.values())):
            raise BundleError(f"{file}: inputs and outputs are not those that the manifest names")

    def run(self, inputs: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        given = {name: inputs[name] for name in self._inputs}
        return dict(zip(self._outputs, self._session.run_with_ort_values(list(self._outputs.values()), given)))


class OnnxRuntimeCpu:
    """See `base.Backend`."""

    name = "cpu"
    placement = "ort"

    def __init__(self) -> None:
        self.device = cpu_name()
        # fp16 is for correctness; it is slower here.
        self.precisions: tuple[str, ...] = ("int8", "fp32", "fp16") if multiplies_int8() else ("fp32", "int8", "fp16")

    def compile(self, graph: Graph, file: Path, precision: str) -> OrtGraph:
        return OrtGraph(graph, file)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()
