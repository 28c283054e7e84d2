"""TensorRT and TensorRT-RTX: two libraries with one Python API."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from typing import Any

from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError, summary
from edgedrag.runtime.extras import install_command

MODULES = {"tensorrt-rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
TITLES = {"tensorrt-rtx": "TensorRT-RTX", "tensorrt": "TensorRT"}
EXTRAS = {"tensorrt-rtx": "rtx", "tensorrt": "tensorrt"}
REFUSED = {"tensorrt-rtx": ("sm_90",)}  # generations of GPUs that a library builds for and does not run on: Hopper

# What engines are built with: part of their key.
BUILD_OPTIONS: dict[str, tuple[str, ...]] = {
    "tensorrt-rtx": ("STRONGLY_TYPED", "REQUIRE_USER_ALLOCATION"),
    "tensorrt": ("STRONGLY_TYPED",),
}


def how_to_install(library: str) -> str:
    """The command, and where the library comes from on a Jetson."""
    jetson = "; on a Jetson it comes with JetPack, see docs/jetson.md" if library == "tensorrt" else ""
    return install_command(EXTRAS[library]) + jetson


def import_library(library: str) -> Any:
    """The library's module. Raises EngineError where it is not installed, or does not load."""
    if importlib.util.find_spec(MODULES[library]) is None:
        raise EngineError(f"{library} is not installed; {how_to_install(library)}", Code.NOT_INSTALLED)
    try:
        return importlib.import_module(MODULES[library])
    except Exception as error:  # whatever a broken or foreign package raises
        raise EngineError(f"{library} is installed but does not load ({summary(error)})", Code.LOAD_FAILED) from error


def start(kind: Any, log: Any, library: str) -> Any:
    """`kind(log)`: a library's Runtime or Builder.

    `log.errors` holds what the library reports.

    Raises:
        EngineError: "load-failed": it reports an error, as where the driver is too old for it.
    """
    log.errors.clear()
    try:
        made = kind(log)
    except TypeError as error:  # pybind11, of a factory that gave nothing
        log.errors.append(str(error))
        made = None
    if not log.errors:
        return made
    if made is not None:  # a null object, which crashes the process at its next call, its deletion among them
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    raise EngineError(
        f"{TITLES[library]} does not start ({'; '.join(log.errors)}); is the NVIDIA driver new enough for it?",
        Code.LOAD_FAILED,
    )


def check_generation(library: str, target: str) -> None:
    """Raise EngineError, "gpu-unsupported", where a library does not run on a generation of GPUs."""
    if target in REFUSED.get(library, ()):
        raise EngineError(
            f"{TITLES[library]} does not run on {target}; take `--backend cuda` (ONNX Runtime) there, or TensorRT",
            Code.GPU_UNSUPPORTED,
        )
