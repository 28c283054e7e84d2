"""NVIDIA's driver and runtime: what GPU there is, and its memory, stream and graphs through cuda-python."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError

COMPUTE_CAPABILITY = (75, 76)  # CUdevice_attribute: major, minor


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver tells of it; `target` is its generation, as "sm_86"."""

    name: str
    target: str
    driver: str  # the newest CUDA version that the driver runs


def find_gpu(index: int = 0) -> Gpu:
    """Ask the driver, without loading anything else: what builds on it crashes where it is missing.

    Raises:
        EngineError: "no-driver", "no-gpu".
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        raise EngineError(f"no NVIDIA driver here ({library} does not load)", Code.NO_DRIVER) from None
    status = cuda.cuInit(0)
    count, version = ctypes.c_int(), ctypes.c_int()
    if status == 0:
        status = cuda.cuDeviceGetCount(ctypes.byref(count))
    if status != 0 or count.value <= index:
        raise EngineError(f"the NVIDIA driver finds no GPU {index} (status {status}, {count.value} GPUs)", Code.NO_GPU)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    capability = [ctypes.c_int(), ctypes.c_int()]
    for value, attribute in zip(capability, COMPUTE_CAPABILITY):
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    newest = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(), f"sm_{capability[0].value}{capability[1].value}", newest)


class CudaDevice:
    """See `device.Device`: one GPU and one stream, on which everything happens in order."""

    def __init__(self, index: int = 0):
        try:
            from cuda.bindings import runtime as cuda
        except ImportError:
            raise EngineError("cuda-python is not installed; `pip install cuda-python`", Code.NOT_INSTALLED) from None
        self._cuda = cuda
        self._call(cuda.cudaSetDevice(index))
        self.stream = int(self._call(cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking)))

    def allocate(self, nbytes: int) -> int:
        status, address = self._cuda.cudaMalloc(nbytes)
        if status == self._cuda.cudaError_t.cudaErrorMemoryAllocation:
            self._cuda.cudaGetLastError()
            raise MemoryError
        self._call((status,))
        return int(address)

    def free(self, address: int) -> None:
        self.wait()  # what still runs may be using it
        self._call(self._cuda.cudaFree(address))

    def free_bytes(self) -> int:
        return int(self._call(self._cuda.cudaMemGetInfo())[0])

    def write(self, address: int, array: np.ndarray) -> None:
        self._copy(address, array.ctypes.data, array.nbytes, "cudaMemcpyHostToDevice")

    def read(self, address: int, array: np.ndarray) -> None:
        self._copy(array.ctypes.data, address, array.nbytes, "cudaMemcpyDeviceToHost")
        self.wait()

    def copy(self, to: int, source: int, nbytes: int) -> None:
        self._copy(to, source, nbytes, "cudaMemcpyDeviceToDevice")

    def wait(self) -> None:
        self._call(self._cuda.cudaStreamSynchronize(self.stream))

    def record(self, work: Callable[[], None]) -> CudaRecording:
        """Capture what `work` puts on the stream, without running it.

        Raises:
            EngineError: it cannot be captured, or reads memory of the host, where other things may lie at a replay.
        """
        cuda = self._cuda
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call(cuda.cudaStreamBeginCapture(self.stream, mode))
        try:
            work()
        finally:
            status, graph = cuda.cudaStreamEndCapture(self.stream)
        self._call((status,))
        try:
            if self._asks_host(graph):
                raise EngineError("CUDA: what was captured needs the host", Code.NOT_RECORDABLE)
            return CudaRecording(self, self._call(cuda.cudaGraphInstantiate(graph, 0)))
        finally:
            self._call(cuda.cudaGraphDestroy(graph))

    def _asks_host(self, graph: Any) -> bool:
        """Whether captured work calls the host, or copies from or to its memory."""
        cuda = self._cuda
        _, count = self._call(cuda.cudaGraphGetNodes(graph, 0))
        nodes, _ = self._call(cuda.cudaGraphGetNodes(graph, count))
        for node in nodes[:count]:
            kind = self._call(cuda.cudaGraphNodeGetType(node))
            if kind == cuda.cudaGraphNodeType.cudaGraphNodeTypeHost:
                return True
            if kind == cuda.cudaGraphNodeType.cudaGraphNodeTypeMemcpy:
                copied = self._call(cuda.cudaGraphMemcpyNodeGetParams(node)).kind
                if copied != cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice:
                    return True
        return False

    def _copy(self, to: int, source: int, nbytes: int, kind: str) -> None:
        cuda = self._cuda
        self._call(cuda.cudaMemcpyAsync(to, source, nbytes, getattr(cuda.cudaMemcpyKind, kind), self.stream))

    def _call(self, answer: tuple[Any, ...]) -> Any:
        """The values of a call after its status. Raises EngineError where that is not success."""
        status, *values = answer
        if int(status) != 0:
            _, name = self._cuda.cudaGetErrorName(status)
            _, text = self._cuda.cudaGetErrorString(status)
            raise EngineError(f"CUDA: {name.decode()}: {text.decode()}", Code.CUDA_ERROR)
        return values[0] if len(values) == 1 else values


class CudaRecording:
    """A captured piece of work, ready to be run again on the same addresses."""

    def __init__(self, device: CudaDevice, launchable: Any):
        self._device, self._launchable = device, launchable

    def run(self) -> None:
        self._device._call(self._device._cuda.cudaGraphLaunch(self._launchable, self._device.stream))

    def release(self) -> None:
        self._device._call(self._device._cuda.cudaGraphExecDestroy(self._launchable))
