"""ONNX Runtime's CUDA provider, on the device backends' stream and memory: its runs are recorded and replayed too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edgedrag.runtime.backends.device.cuda import CudaDevice, find_gpu
from edgedrag.runtime.backends.device.graph import DeviceBackend, DeviceGraph, Size
from edgedrag.runtime.backends.onnxruntime import open_session
from edgedrag.runtime.bundle.graphs import HOLD, Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.system.cpus import default_threads

PROVIDER = "CUDAExecutionProvider"
WARM_RUNS = 3  # until ONNX Runtime takes no more memory, which cannot be recorded
TRIES = 2  # a failed capture surfaces again on the next call; retry once


class OrtCudaNetwork:
    """See `device.Network`: a session with inputs and outputs at given addresses; its inner tensors are its own."""

    def __init__(self, graph: Graph, file: Path, device: int, stream: int, channels_last: bool):
        options = ort.SessionOptions()
        options.intra_op_num_threads = default_threads()  # see `onnxruntime.OrtGraph`
        options.enable_mem_pattern = False  # it would take memory anew in the second run, the one that is recorded
        provider = (
            PROVIDER,
            {"device_id": device, "user_compute_stream": str(stream), "prefer_nhwc": str(int(channels_last))},
        )
        self._session: ort.InferenceSession | None = open_session(graph, file, options, [provider])
        if self._session.get_providers()[0] != PROVIDER:
            raise EngineError(
                f"{file.name}: ONNX Runtime fell back to the CPU; its CUDA provider does not load here "
                "(CUDA and cuDNN must be those that onnxruntime-gpu was built for)",
                Code.LOAD_FAILED,
            )
        self._device = device
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._warm: set[tuple[tuple[str, tuple[int, ...]], ...]] = set()  # shapes that were run
        self._binding = self._session.io_binding()
        self._inputs = {t.name: np.dtype(t.dtype) for t in graph.inputs}
        self._outputs = {graph.file_outputs[t.name]: np.dtype(t.dtype) for t in graph.outputs}
        self._without_waiting = ort.RunOptions()
        self._without_waiting.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def bind(self, name: str, address: int, shape: tuple[int, ...]) -> None:
        self._shapes[name] = shape
        if name in self._inputs:
            self._binding.bind_input(name, "cuda", self._device, self._inputs[name], shape, address)
        else:
            self._binding.bind_output(name, "cuda", self._device, self._outputs[name], shape, address)

    def scratch_bytes(self) -> int:
        return 0

    def enqueue(self, scratch: int, scratch_bytes: int) -> None:
        shapes = tuple(self._shapes.items())
        for _ in range(1 if shapes in self._warm else WARM_RUNS):
            self._run()
        self._warm.add(shapes)

    def release(self) -> None:
        self._session = self._binding = None

    def _run(self) -> None:
        assert self._session is not None, "released"
        for left in reversed(range(TRIES)):
            try:
                return self._session.run_with_iobinding(self._binding, self._without_waiting)
            except Exception as error:  # ONNX Runtime's exceptions share no base class
                if not left:
                    raise EngineError(f"ONNX Runtime: a graph does not run ({error})", Code.ENGINE_FAILED) from None


class OnnxRuntimeCuda(DeviceBackend):
    """See `base.Backend`."""

    name = "cuda"
    placements: tuple[str, ...] = ("cuda", "ort")  # graphs with the provider's fused operators, and plain ones
    # INT8 through Q/DQ nodes has no fast kernels in the CUDA provider.
    precisions: tuple[str, ...] = ("fp16", "fp32")

    def __init__(self, budget: int | None = None, index: int = 0):
        """`budget`: bytes of device memory for weights."""
        self.device = find_gpu(index).name
        cuda = CudaDevice(index)
        super().__init__(cuda, budget)
        self._stream, self._index = cuda.stream, index
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN from their packages, where they are not installed system-wide

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> DeviceGraph:
        file = bundle.verified_file(variant)

        def session(size: Size) -> tuple[int, Callable[[], OrtCudaNetwork]]:
            # The fused group norms take channels last; so the convolutions between them do.
            fused = variant.placement == "cuda"
            return variant.nbytes(bundle.folder), lambda: OrtCudaNetwork(graph, file, self._index, self._stream, fused)

        seldom = graph in (*bundle.stages[HOLD], *bundle.stages["reference"])
        name = f"{graph.name} {variant.branch} {precision}"
        return DeviceGraph(graph, name, self.workspace, session, seldom, every_size=True)

    def sizes(self, bundle: Bundle, precision: str) -> list[Size]:
        return bundle.sizes
