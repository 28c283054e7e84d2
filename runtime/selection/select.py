"""The ladder of engines: the best one that can serve, and for each better one the reason why it does not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from edgedrag.runtime.backends.base import Backend
from edgedrag.runtime.backends.processor import multiplies_int8
from edgedrag.runtime.backends.registry import NAMES, open_backend
from edgedrag.runtime.backends.tensorrt.library import MODULES
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages, choose_precision, is_complete
from edgedrag.runtime.errors import EdgedragError, EngineError, summary
from edgedrag.runtime.selection.self_test import Golden, self_test
from edgedrag.runtime.trace import span

PRECISIONS = ("int8", "bf16", "fp16", "fp32")  # the least precise first
ON_A_DEVICE = (*MODULES, "cuda")  # these test themselves before they serve
SATURATING = ("openvino",)  # the INT8 of these saturates on an x86 without VNNI


@runtime_checkable
class Compiling(Protocol):
    """A backend that compiles on the device when a graph first runs, and can keep what it compiled."""

    def keep_compiled(self) -> None: ...


@runtime_checkable
class Fusing(Protocol):
    """A backend that prefers graphs with operators of its own, and runs plain ones too."""

    placement: str

    def use_plain_graphs(self) -> None: ...


@dataclass(frozen=True)
class Fallback:
    """A step down the ladder: the engine that does not serve, why as a code of `backends.CODES`, and in a sentence."""

    backend: str
    code: str
    reason: str


@dataclass(frozen=True)
class Served:
    """An engine that serves a bundle, the steps that led down to it, and what its self-test measured, if it had one."""

    stages: Stages
    golden: Golden | None
    fallback: tuple[Fallback, ...] = ()


def climb(
    bundle: Bundle,
    backend: str = "auto",
    precision: str = "auto",
    engines: Path | None = None,
    memory_budget: int | None = None,
    threads: int | None = None,
) -> Served:
    """The named engine, or with "auto" the first of the ladder that can serve; arguments as of `open_backend`.

    Raises:
        EngineError: the named engine cannot serve (there is no silent fallback), or none can.
        BundleError: a file of the bundle is missing or damaged.
    """
    if backend != "auto":
        return Served(*_open(bundle, precision, backend, engines, memory_budget, threads))
    steps: list[Fallback] = []
    for name in NAMES:
        try:
            return Served(*_open(bundle, precision, name, engines, memory_budget, threads), tuple(steps))
        except EngineError as error:
            steps.append(Fallback(name, error.code, str(error)))
    reasons = "; ".join(f"{step.backend}: {step.reason}" for step in steps)
    bare = all(step.code == "not-installed" for step in steps if step.backend in ("cpu", "openvino"))
    raise EngineError(
        f"no usable engine ({reasons})" + ("; for the CPU: `pip install 'edgedrag[cpu]'`" if bare else "")
    )


def more_precise(bundle: Bundle, stages: Stages, threads: int | None = None) -> Stages | None:
    """The same engine in the next higher precision that it can run, else ONNX Runtime on the CPU, else None."""
    backend = stages.backend
    for precision in PRECISIONS[PRECISIONS.index(stages.precision) + 1 :]:
        if precision in backend.precisions and is_complete(bundle, backend, precision):
            return Stages(bundle, backend, precision)
    if backend.name == "cpu":
        return None
    try:
        cpu = open_backend("cpu", threads=threads)
    except EngineError:
        return None
    found = (p for p in reversed(PRECISIONS) if p in cpu.precisions and is_complete(bundle, cpu, p))
    return next((Stages(bundle, cpu, precision) for precision in found), None)


def _open(bundle: Bundle, precision: str, name: str, *options: Any) -> tuple[Stages, Golden | None]:
    """`options`: as of `open_backend`."""
    with span(f"open {name}", "open"):
        engine = open_backend(name, *options)
    try:
        if isinstance(engine, Fusing) and _has_placement(bundle, engine.placement):
            return _fused_or_plain(bundle, engine, precision)
        return _tested(bundle, engine, precision)
    except EdgedragError:
        raise
    except Exception as error:  # libraries raise what they like; the message says what it was
        raise EngineError(f"{name} does not run bundle '{bundle.name}' ({summary(error)})") from error


def _has_placement(bundle: Bundle, placement: str) -> bool:
    return any(variant.placement == placement for _, graph in bundle.graphs() for variant in graph.variants)


def _fused_or_plain(bundle: Bundle, engine: Any, precision: str) -> tuple[Stages, Golden | None]:
    """The bundle's fused graphs, or the plain ones, with a warning, where those fail."""
    try:
        return _tested(bundle, engine, precision)
    except EngineError as error:
        warnings.warn(f"{engine.name}: fused graphs fail, the plain ones run ({error})", RuntimeWarning, stacklevel=5)
        engine.use_plain_graphs()
        return _tested(bundle, engine, precision)


def _tested(bundle: Bundle, engine: Backend, precision: str) -> tuple[Stages, Golden | None]:
    """The bundle's graphs on an engine, after the self-test of those on a device."""
    stages = Stages(bundle, engine, choose_precision(bundle, engine, precision))
    if stages.precision == "int8" and engine.name in SATURATING and not multiplies_int8():
        warnings.warn(
            f"INT8 is less exact with {engine.name} on this processor ({engine.device}): without VNNI it adds pairs of "
            f"products in 16 bits, which saturate; precision fp32, or int8 on the backend cpu, does not",
            RuntimeWarning,
            stacklevel=5,  # the caller of edgedrag.open
        )
    if engine.name not in ON_A_DEVICE:
        return stages, None
    with span("self-test", "open"):
        golden = self_test(bundle, stages)
    if isinstance(engine, Compiling):
        engine.keep_compiled()
    return stages, golden
