"""ONNX Runtime on the CPU."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

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

    def compile(self, graph: Graph, file: Path) -> OrtGraph:
        return OrtGraph(graph, file)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def multiplies_int8() -> bool:
    """Whether this processor multiplies 8-bit numbers into 32 bits at once.

    An x86 without these instructions (VNNI, AMX) adds pairs of products in 16 bits, where they can saturate: INT8
    would be neither fast nor right there.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    try:
        return bool(re.search(r"\b(avx512_vnni|avx_vnni|amx_int8)\b", Path("/proc/cpuinfo").read_text()))
    except OSError:
        return False
