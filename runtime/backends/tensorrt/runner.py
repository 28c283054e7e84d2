"""TensorRT and TensorRT-RTX on a GPU, from engines that `edgedrag engines build` made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.runtime.backends.device.cuda import CudaDevice, find_gpu
from edgedrag.runtime.backends.device.graph import DeviceBackend, DeviceGraph, Size
from edgedrag.runtime.backends.tensorrt.cache import EngineStore, StoredEngine
from edgedrag.runtime.backends.tensorrt.library import import_library, start
from edgedrag.runtime.backends.tensorrt.lookup import EngineLookup
from edgedrag.runtime.bundle.graphs import HOLD, Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.files import write_whole


@dataclass(frozen=True)
class Library:
    """What was imported under a library's name (TensorRT or TensorRT-RTX), its runtime and its log."""

    name: str
    trt: Any
    runtime: Any
    log: Any


class TensorRtNetwork:
    """See `device.Network`: a deserialized engine with one execution context."""

    def __init__(self, library: Library, stored: StoredEngine, stream: int, cache: Any, compiled: bytes):
        """`cache`: TensorRT-RTX's, shared by all networks; where None, made from what an earlier start `compiled`."""
        trt, log = library.trt, library.log
        log.errors.clear()
        self._engine = library.runtime.deserialize_cuda_engine(stored.path.read_bytes())
        if self._engine is None:
            if any("memory" in message.lower() for message in log.errors):
                raise MemoryError
            raise EngineError(f"{stored.path}: does not load ({'; '.join(log.errors[-2:])})", Code.ENGINE_REFUSED)
        self._stream, self._log = stream, log
        self.cache = cache
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if library.name == "tensorrt-rtx":  # it compiles here, and keeps what it compiled
            config = self._engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(strategy)
            # Not lazily, beside other work: a recording would keep the slow kernels that run until then.
            config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            if self.cache is None:
                self.cache = config.create_runtime_cache()
                if compiled:
                    self.cache.deserialize(compiled)
            config.set_runtime_cache(self.cache)
            self._context = self._engine.create_execution_context(config)
        else:
            self._context = self._engine.create_execution_context(strategy)
        if self._context is None:
            raise MemoryError
        count = self._engine.num_io_tensors
        names = [self._engine.get_tensor_name(index) for index in range(count)]
        self._inputs = {n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT}

    def bind(self, name: str, address: int, shape: tuple[int, ...]) -> None:
        if name in self._inputs and not self._context.set_input_shape(name, shape):
            raise EngineError(f"input '{name}' of shape {shape} is not within the engine's profile", Code.ENGINE_SHAPE)
        self._context.set_tensor_address(name, address)

    def scratch_bytes(self) -> int:
        return int(self._engine.device_memory_size_v2)

    def enqueue(self, scratch: int, scratch_bytes: int) -> None:
        if scratch_bytes:
            self._context.set_device_memory(scratch, scratch_bytes)
        if not self._context.execute_async_v3(self._stream):
            raise EngineError(f"an engine does not run ({'; '.join(self._log.errors[-2:])})", Code.ENGINE_FAILED)

    def release(self) -> None:
        self._context = self._engine = self.cache = None


class TensorRtBackend(DeviceBackend):
    """See `base.Backend`."""

    placements: tuple[str, ...] = ("tensorrt",)
    precisions: tuple[str, ...] = ("int8", "fp16", "fp32")

    def __init__(self, library: str, folder: Path | None = None, budget: int | None = None):
        """`library`: "tensorrt" or "tensorrt-rtx"; `budget`: bytes of device memory for weights."""
        self._gpu = find_gpu()  # before the library is touched: without a driver it crashes
        trt = import_library(library)
        cuda = CudaDevice()
        super().__init__(cuda, budget)
        self._stream = cuda.stream
        self.name, self.device = library, self._gpu.name
        version, store = trt.__version__, EngineStore(folder)
        self._lookup = EngineLookup(store, library, version, self._gpu.target)
        log = make_log(trt)
        self._library = Library(library, trt, start(trt.Runtime, log, library), log)
        self._cache: Any = None
        self._cache_file = store.folder / f"{library}-{version}-{self._gpu.target}.runtime-cache"

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> DeviceGraph:
        def engine(size: Size) -> tuple[int, Callable[[], TensorRtNetwork]]:
            stored = self._lookup.find(bundle, graph, variant, precision, size)
            return stored.facts["weight_bytes"] or stored.manifest["bytes"], lambda: self._open(stored)

        seldom = graph in (*bundle.stages[HOLD], *bundle.stages["reference"])
        return DeviceGraph(graph, f"{graph.name} {variant.branch} {precision}", self.workspace, engine, seldom)

    def sizes(self, bundle: Bundle, precision: str) -> list[Size]:
        return self._lookup.sizes(bundle, precision)

    def keep_compiled(self) -> None:
        """Keep what TensorRT-RTX compiled on this device for the next start; a warning where that cannot be written."""
        if self._cache is None:
            return
        compiled = bytes(self._cache.serialize())
        if not self._cache_file.exists() or self._cache_file.stat().st_size != len(compiled):
            try:
                write_whole(self._cache_file, compiled)
            except OSError as error:
                warnings.warn(
                    f"{self._cache_file}: cannot be written ({error.strerror}); every start compiles kernels again",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _open(self, stored: StoredEngine) -> TensorRtNetwork:
        compiled = self._cache_file.read_bytes() if self._cache is None and self._cache_file.exists() else b""
        made = TensorRtNetwork(self._library, stored, self._stream, self._cache, compiled)
        self._cache = made.cache
        return made


def make_log(trt: Any) -> Any:
    class Log(trt.ILogger):
        """Keeps what went wrong, for the error that follows."""

        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)

    return Log()
