"""The backends: their packages, whether each can serve here, and how each is opened."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

from edgedrag.runtime.backends.base import Backend
from edgedrag.runtime.backends.device.cuda import find_gpu
from edgedrag.runtime.backends.tensorrt.library import MODULES, check_generation
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EdgedragError, EngineError, summary
from edgedrag.runtime.options import RuntimeOptions

PACKAGES = {
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt-rtx"),
    "tensorrt": ("tensorrt", "tensorrt"),
    "cuda": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino", "openvino"),
    "cpu": ("onnxruntime", "onnxruntime"),
}


@dataclass(frozen=True)
class Finding:
    """Whether a backend can serve here; why not, as a code and in one sentence; None and "" where it can."""

    name: str
    usable: bool
    code: Code | None
    reason: str

    @property
    def version(self) -> str | None:
        """Of its package; None where it is not installed."""
        return _version(PACKAGES[self.name][1]) or (_version("onnxruntime-gpu") if self.name == "cpu" else None)


def probe(name: str) -> Finding:
    """Look for one backend's package and device without loading it."""
    module, package = PACKAGES[name]

    def absent(code: Code, reason: str) -> Finding:
        return Finding(name, False, code, reason)

    found = importlib.util.find_spec(module)
    if found is None or (name == "cuda" and not _has_cuda(found)):
        return absent(Code.NOT_INSTALLED, f"{package} is not installed")
    if name in ("tensorrt-rtx", "tensorrt", "cuda"):
        try:
            check_generation(name, find_gpu().target)
        except EngineError as error:
            return absent(error.code, str(error))
        except Exception as error:  # a driver's library may lack what is asked of it
            return absent(Code.NO_DRIVER, f"the NVIDIA driver does not answer ({summary(error)})")
    return Finding(name, True, None, "")


def _has_cuda(package: ModuleSpec) -> bool:
    """Whether an ONNX Runtime has its CUDA provider's library."""
    folders = package.submodule_search_locations or ()
    return any(name for folder in folders for name in Path(folder, "capi").glob("*onnxruntime_providers_cuda*"))


def _version(package: str) -> str | None:
    from importlib import metadata  # 20 ms, which opening a runtime does without

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def open_backend(options: RuntimeOptions) -> Backend:
    """The backend that the options name; not "auto".

    Raises:
        EngineError: it cannot serve here; `code` says why.
    """
    name = options.backend
    finding = probe(name)
    if not finding.usable:
        raise EngineError(finding.reason, finding.code or Code.FAILED)
    try:
        return _open(options)
    except EdgedragError:
        raise
    except Exception as error:  # whatever a broken or foreign package raises when it is imported and asked
        reason = f"{PACKAGES[name][1]} is installed but does not load ({summary(error)})"
        raise EngineError(f"{reason}; reinstall it, or take another --backend", Code.LOAD_FAILED) from error


def _open(options: RuntimeOptions) -> Backend:
    name = options.backend
    if name in MODULES:
        from edgedrag.runtime.backends.tensorrt.runner import TensorRtBackend

        return TensorRtBackend(name, options.engine_folder, options.memory_budget)
    if name == "openvino":
        from edgedrag.runtime.backends.openvino import OpenVinoCpu

        return OpenVinoCpu(options.threads)
    if name == "cuda":
        from edgedrag.runtime.backends.onnxruntime_cuda import OnnxRuntimeCuda

        return OnnxRuntimeCuda(options.memory_budget)
    from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu

    return OnnxRuntimeCpu(options.threads)
