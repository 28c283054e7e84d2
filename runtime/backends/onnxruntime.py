"""ONNX Runtime, on the CPU and through CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from edgedrag.runtime.backends.base import CompiledGraph, OnnxBackend
from edgedrag.runtime.backends.cuda import find_gpu
from edgedrag.runtime.backends.processor import cpu_name, multiplies_int8
from edgedrag.runtime.bundle import Graph
from edgedrag.runtime.errors import BundleError, EngineError

ort.disable_telemetry_events()  # nothing leaves the device


def open_session(graph: Graph, file: Path, options: ort.SessionOptions, providers: list[Any]) -> ort.InferenceSession:
    """A session on a graph's file. Raises BundleError where it is no such graph."""
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise BundleError(f"{file}: ONNX Runtime cannot load this graph ({error})") from None
    found = ({i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()})
    if found != ({t.name for t in graph.inputs}, set(graph.file_outputs.values())):
        raise BundleError(f"{file}: inputs and outputs are not those that the manifest names")
    return session


class OrtGraph:
    """A session on the CPU; its arrays are OrtValues, so nothing is copied between graphs."""

    def __init__(self, graph: Graph, file: Path):
        options = ort.SessionOptions()
        # Each session has its own threads; left to spin between runs, those of one graph slow down the next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = open_session(graph, file, options, ["CPUExecutionProvider"])
        self._inputs = [t.name for t in graph.inputs]
        self._outputs = graph.file_outputs

    def run(self, inputs: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        given = {name: inputs[name] for name in self._inputs}
        return dict(zip(self._outputs, self._session.run_with_ort_values(list(self._outputs.values()), given)))


class OnnxRuntimeCpu(OnnxBackend):
    """See `base.Backend`."""

    name = "cpu"
    placement = "ort"

    def __init__(self) -> None:
        self.device = cpu_name()
        # fp16 is for correctness; it is slower here.
        self.precisions: tuple[str, ...] = ("int8", "fp32", "fp16") if multiplies_int8() else ("fp32", "int8", "fp16")

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        return OrtGraph(graph, file)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()


class OrtCudaGraph:
    """A session on a GPU; inputs and outputs are bound to device memory, so the host sees none of them."""

    def __init__(self, graph: Graph, file: Path, device: int):
        self._session = open_session(
            graph,
            file,
            ort.SessionOptions(),
            [("CUDAExecutionProvider", {"device_id": device}), "CPUExecutionProvider"],
        )
        if self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise EngineError(
                f"{file.name}: ONNX Runtime fell back to the CPU; its CUDA provider does not load here "
                "(CUDA and cuDNN must be those that onnxruntime-gpu was built for)",
                "load-failed",
            )
        self._device = device
        self._inputs = [t.name for t in graph.inputs]
        self._outputs = graph.file_outputs

    def run(self, inputs: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        binding = self._session.io_binding()
        for name in self._inputs:
            binding.bind_ortvalue_input(name, inputs[name])
        for stored in self._outputs.values():
            binding.bind_output(stored, "cuda", self._device)
        self._session.run_with_iobinding(binding)
        return dict(zip(self._outputs, binding.get_outputs()))


class OnnxRuntimeCuda(OnnxBackend):
    """See `base.Backend`."""

    name = "cuda"
    placement = "ort"
    # INT8 through Q/DQ nodes has no fast kernels in the CUDA provider.
    precisions: tuple[str, ...] = ("fp16", "fp32")

    def __init__(self, device: int = 0) -> None:
        self.device = find_gpu(device).name
        self._index = device
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN from their packages, where they are not installed system-wide

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        return OrtCudaGraph(graph, file, self._index)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), "cuda", self._index)

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()
