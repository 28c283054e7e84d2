"""Polygraphy runners for a graph's file: ONNX Runtime on CPU and CUDA, TensorRT, TensorRT-RTX."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.backends.registry import probe
from edgedrag.runtime.backends.tensorrt.library import MODULES, import_library
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError, InputError
from edgedrag.runtime.extras import install_command

PLACEMENTS = {"cpu": "ort", "cuda": "ort", "tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt"}  # by backend
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
PRECISIONS = ("fp32", "fp16", "int8")  # of a bundle's files, the highest first
NEEDED = {"polygraphy": "polygraphy", "onnx": "onnx", "onnx_ir": "onnx-ir"}  # package by module


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a backend, and the precision of its files."""

    backend: str
    precision: str

    @property
    def placement(self) -> str:
        return PLACEMENTS[self.backend]

    def __str__(self) -> str:
        return f"{self.backend}:{self.precision}"


def check_installed() -> None:
    """Raise EngineError if a package that comparisons need is missing."""
    absent = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if absent:
        raise EngineError(
            f"comparing needs {' and '.join(absent)}, which is not installed; {install_command('compare')}",
            Code.NOT_INSTALLED,
        )


def parse_side(text: str, bundle: Bundle) -> Side:
    """Parse a side such as "cpu:int8"; the default precision is the highest of the bundle.

    Raises:
        InputError: no such backend or precision.
        EngineError: the bundle has no files of the precision.
    """
    backend, _, precision = text.partition(":")
    if backend not in PLACEMENTS:
        raise InputError(f"--backend {text!r}: '{backend}' is not one of {', '.join(PLACEMENTS)}")
    if precision not in ("", *PRECISIONS):
        raise InputError(f"--backend {text!r}: '{precision}' is not one of {', '.join(PRECISIONS)}")
    shared = precisions_of(bundle, backend)
    if not shared or (precision and precision not in shared):
        raise EngineError(
            f"bundle '{bundle.name}' has no precision '{precision}' for backend '{backend}'; "
            f"it has: {', '.join(shared) or 'none'}",
            Code.NO_PRECISION,
        )
    return Side(backend, precision or shared[0])


def parse_sides(backends: Sequence[str], bundle: Bundle) -> tuple[Side, Side]:
    """The reference and the compared side; by default the CPU in the bundle's highest precision and in INT8.

    Raises:
        InputError: not two backends, or two libraries that cannot load in one process; see also `parse_side`.
        EngineError: the bundle has no files of a precision.
    """
    if len(backends) not in (0, 2):
        raise InputError("--backend: give it twice, the reference first, or not at all")
    first, second = (parse_side(text, bundle) for text in backends or ("cpu", "cpu:int8"))
    if {first.backend, second.backend} == set(MODULES):
        raise InputError("--backend: tensorrt and tensorrt-rtx cannot load in one process; compare each with cpu")
    return first, second


def precisions_of(bundle: Bundle, backend: str) -> list[str]:
    """The precisions of which every graph has a file, the highest first."""
    placement = PLACEMENTS[backend]
    return [p for p in PRECISIONS if all("single" in graph.files(p, placement) for _, graph in bundle.graphs())]


def check_usable(side: Side) -> None:
    """Raise EngineError, with the reason, if this machine cannot run a side."""
    finding = probe(side.backend)
    if not finding.usable:
        raise EngineError(finding.reason, finding.code or Code.FAILED)
    if side.backend in MODULES:
        import_library(side.backend)


def mute_polygraphy_log() -> None:
    """Keep Polygraphy's log off stdout; findings are read from its results."""
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL


def make_runner(side: Side, file: Path, feeds: Sequence[Mapping[str, np.ndarray]]) -> Any:
    """A runner that loads an ONNX file when its context is entered.

    Args:
        feeds: the inputs to run on; an engine is built for the range of their shapes.
    """
    if side.backend in MODULES:
        return _tensorrt_runner(side, file, feeds)
    from polygraphy.backend.onnxrt import OnnxrtRunner

    return OnnxrtRunner(lambda: _open_session(file, PROVIDERS[side.backend]), name=str(side))


def _open_session(file: Path, provider: str) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(file), options, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise EngineError(f"{file.name}: ONNX Runtime cannot load it ({error})", Code.ENGINE_REFUSED) from None
    if session.get_providers()[0] != provider:
        raise EngineError(f"{file.name}: ONNX Runtime does not load its {provider} here", Code.LOAD_FAILED)
    return session


def _tensorrt_runner(side: Side, file: Path, feeds: Sequence[Mapping[str, np.ndarray]]) -> Any:
    """A runner of an engine as `edgedrag engines build` makes it, in memory only."""
    from polygraphy import config

    config.USE_TENSORRT_RTX = side.backend == "tensorrt-rtx"  # read by the import of the next module
    from polygraphy.backend.trt import EngineFromBytes, TrtRunner

    from edgedrag.export.engines.builder import THIS_GPU, build_file

    shapes = shape_ranges(feeds)
    plan = EngineFromBytes(lambda: build_file(file, shapes, THIS_GPU, side.backend).plan)
    # Engines are built for user-allocated memory, which "profile" makes Polygraphy allocate.
    return TrtRunner(plan, name=str(side), allocation_strategy="profile")


def shape_ranges(feeds: Sequence[Mapping[str, np.ndarray]]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The smallest, a usual and the largest shape of each input."""
    ranges = {}
    for name, first in feeds[0].items():
        shapes = np.array([feed[name].shape for feed in feeds], dtype=int).reshape(len(feeds), first.ndim)
        ends = (shapes.min(axis=0), shapes[0], shapes.max(axis=0))
        ranges[name] = tuple(tuple(int(n) for n in shape) for shape in ends)
    return ranges
