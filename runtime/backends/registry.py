"""The engines, best first, and whether each can serve here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from edgedrag.runtime.backends.base import Backend
from edgedrag.runtime.backends.device.cuda import find_gpu
from edgedrag.runtime.backends.tensorrt.library import MODULES, check_generation
from edgedrag.runtime.errors import EdgedragError, EngineError, summary

NAMES = ("tensorrt-rtx", "tensorrt", "cuda", "cpu", "openvino")  # the order in which "auto" tries them
PACKAGES = {
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt-rtx"),
    "tensorrt": ("tensorrt", "tensorrt"),
    "cuda": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino", "openvino"),
    "cpu": ("onnxruntime", "onnxruntime"),
}
# Why an engine does not serve, in a word.
CODES = {
    "not-installed": "its package is not there",
    "no-driver": "no NVIDIA driver",
    "no-gpu": "the driver finds no GPU",
    "load-failed": "the package does not load",
    "no-precision": "the bundle has no graphs for it in the precision that was asked for",
    "no-engines": "nothing was built for this bundle",
    "engine-version": "built with another version of the library",
    "engine-library": "built with the other library",
    "engine-target": "built for another generation of GPU",
    "engine-stale": "built from other graphs, another recipe, precision or size",
    "engine-damaged": "the file is not the one that was built",
    "engine-refused": "the library does not load the engine or the graph",
    "engine-failed": "the library does not run the engine",
    "engine-shape": "a shape that the engine was not built for",
    "out-of-memory": "the device has too little memory",
    "cuda-error": "CUDA reported an error",
    "gpu-unsupported": "the library does not run on this generation of GPUs",
    "self-test": "its results are not those that the bundle stores",
    "bad-output": "it gave no picture: not numbers, or one colour",
    "failed": "anything else",
}


@dataclass(frozen=True)
class Finding:
    """Whether an engine can serve here; why not, as a code of `CODES` and in one sentence."""

    name: str
    usable: bool
    version: str | None
    code: str
    reason: str


def probe(name: str) -> Finding:
    """Look for one engine without loading it."""
    module, package = PACKAGES[name]
    version = _version(package) or (_version("onnxruntime-gpu") if name == "cpu" else None)

    def absent(code: str, reason: str) -> Finding:
        return Finding(name, False, version, code, reason)

    if importlib.util.find_spec(module) is None or (name == "cuda" and version is None):
        return absent("not-installed", f"{package} is not installed")
    if name in ("tensorrt-rtx", "tensorrt", "cuda"):
        try:
            check_generation(name, find_gpu().target)
        except EngineError as error:
            return absent(error.code, str(error))
        except Exception as error:  # a driver's library may lack what is asked of it
            return absent("no-driver", f"the NVIDIA driver does not answer ({summary(error)})")
    return Finding(name, True, version, "", "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def open_backend(
    name: str, engines: Path | None = None, memory_budget: int | None = None, threads: int | None = None
) -> Backend:
    """The named engine.

    Args:
        engines: folder of built engines, for TensorRT; the user's cache where None.
        memory_budget: bytes of device memory for weights, on a GPU.
        threads: of an engine on the CPU; `cpus.default_threads` where None.

    Raises:
        EngineError: it cannot serve here; `code` says why.
    """
    if name not in NAMES:
        raise EngineError(f"backend '{name}' is not one of auto, {', '.join(NAMES)}")
    finding = probe(name)
    if not finding.usable:
        raise EngineError(finding.reason, finding.code)
    try:
        return _open(name, engines, memory_budget, threads)
    except EdgedragError:
        raise
    except Exception as error:  # whatever a broken or foreign package raises when it is imported and asked
        reason = f"{PACKAGES[name][1]} is installed but does not load ({summary(error)})"
        raise EngineError(f"{reason}; reinstall it, or take another --backend", "load-failed") from error


def _open(name: str, engines: Path | None, memory_budget: int | None, threads: int | None) -> Backend:
    if name in MODULES:
        from edgedrag.runtime.backends.tensorrt.runner import TensorRtBackend

        return TensorRtBackend(name, engines, memory_budget)
    if name == "openvino":
        from edgedrag.runtime.backends.openvino import OpenVinoCpu

        return OpenVinoCpu(threads)
    if name == "cuda":
        from edgedrag.runtime.backends.onnxruntime_cuda import OnnxRuntimeCuda

        return OnnxRuntimeCuda(memory_budget)
    from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu

    return OnnxRuntimeCpu(threads)
