"""The engines, best first, and the choice between them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass

from edgedrag.runtime.backends.base import Backend
from edgedrag.runtime.errors import EngineError

NAMES = ("tensorrt-rtx", "tensorrt", "cuda", "cpu", "openvino")  # the order in which "auto" tries them
PACKAGES = {
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt-rtx"),
    "tensorrt": ("tensorrt", "tensorrt"),
    "cuda": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino", "openvino"),
    "cpu": ("onnxruntime", "onnxruntime"),
}


@dataclass(frozen=True)
class Finding:
    """Whether an engine can serve here, and in one sentence why not."""

    name: str
    usable: bool
    version: str | None
    reason: str


def probe(name: str) -> Finding:
    """Look for one engine without loading it."""
    module, package = PACKAGES[name]
    version = _version(package) or (_version("onnxruntime-gpu") if name == "cpu" else None)
    if importlib.util.find_spec(module) is None:
        return Finding(name, False, version, f"{package} is not installed")
    if name not in ("openvino", "cpu"):
        return Finding(name, False, version, "this version of edgedrag runs on the CPU only")
    return Finding(name, True, version, "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def open_backend(name: str = "auto") -> Backend:
    """The named engine, or the first of the ladder that can serve.

    Raises:
        EngineError: the named engine cannot serve (there is no silent fallback), or none can.
    """
    if name not in ("auto", *NAMES):
        raise EngineError(f"backend '{name}' is not one of auto, {', '.join(NAMES)}")
    findings = [probe(n) for n in (NAMES if name == "auto" else (name,))]
    chosen = next((f.name for f in findings if f.usable), None)
    if chosen is None:
        reasons = "; ".join(f"{f.name}: {f.reason}" for f in findings)
        raise EngineError(f"no usable engine ({reasons}); for the CPU: `pip install 'edgedrag[cpu]'`")
    if chosen == "openvino":
        from edgedrag.runtime.backends.openvino import OpenVinoCpu

        return OpenVinoCpu()
    from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu

    return OnnxRuntimeCpu()
