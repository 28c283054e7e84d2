"""Which backend serves a bundle: the first in the fallback order that can, and why each one before it does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edgedrag.runtime.backends.base import Backend
from edgedrag.runtime.backends.registry import open_backend
from edgedrag.runtime.backends.tensorrt.library import MODULES, how_to_install
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.stages import Stages, choose_precision, is_complete
from edgedrag.runtime.errors import EdgedragError, EngineError, summary
from edgedrag.runtime.extras import install_command
from edgedrag.runtime.options import AUTO, BACKENDS, PRECISIONS, RuntimeOptions
from edgedrag.runtime.system.processor import multiplies_int8
from edgedrag.runtime.trace import span

if TYPE_CHECKING:
    from edgedrag.runtime.selection.self_test import Golden

ON_A_DEVICE = (*MODULES, "cuda")  # these test themselves before they serve
SATURATING = ("openvino",)  # the INT8 of these saturates on an x86 without VNNI


@runtime_checkable
class Compiling(Protocol):
    """A backend that compiles on the device when a graph first runs, and can keep what it compiled."""

    def keep_compiled(self) -> None: ...


@dataclass(frozen=True)
class Fallback:
    """A backend that does not serve, and why: as a code and in a sentence."""

    backend: str
    code: Code
    reason: str


@dataclass(frozen=True)
class Selection:
    """A bundle's stages on the backend that serves it.

    Attributes:
        golden: what its self-test measured, where it takes one.
        fallback: the backends that come before it and do not serve.
    """

    stages: Stages
    golden: Golden | None
    fallback: tuple[Fallback, ...] = ()


def select_backend(bundle: Bundle, options: RuntimeOptions, meanwhile: Callable[[], None] | None = None) -> Selection:
    """The named backend, or with "auto" the first in the fallback order that can serve.

    Args:
        meanwhile: called while a backend on the CPU loads the bundle's graphs in a thread.

    Raises:
        EngineError: the named backend cannot serve (there is no silent fallback), or none can.
        BundleError: a file of the bundle is missing or damaged.
    """
    if options.backend != AUTO:
        try:
            return Selection(*_open(bundle, options, meanwhile))
        except EngineError as error:
            if error.code != Code.NOT_INSTALLED:
                raise
            raise EngineError(f"{error}; {_how_to_install(options.backend)}", error.code) from None
    fallback: list[Fallback] = []
    for name in BACKENDS:
        try:
            return Selection(*_open(bundle, replace(options, backend=name), meanwhile), tuple(fallback))
        except EngineError as error:
            fallback.append(Fallback(name, error.code, str(error)))
    reasons = "; ".join(f"{step.backend}: {step.reason}" for step in fallback)
    bare = all(step.code == Code.NOT_INSTALLED for step in fallback if step.backend in ("cpu", "openvino"))
    raise EngineError(f"no usable engine ({reasons})" + (f"; for the CPU: {install_command('cpu')}" if bare else ""))


def _how_to_install(backend: str) -> str:
    if backend in MODULES:
        return how_to_install(backend)
    return install_command({"cuda": "gpu"}.get(backend, backend))


def more_precise(bundle: Bundle, stages: Stages, options: RuntimeOptions) -> Stages | None:
    """The same backend in the next higher precision that it can run, else ONNX Runtime on the CPU, else None."""
    backend = stages.backend
    for precision in PRECISIONS[PRECISIONS.index(stages.precision) + 1 :]:
        if precision in backend.precisions and is_complete(bundle, backend, precision):
            return Stages(bundle, backend, precision, stages.placement)
    if backend.name == "cpu":
        return None
    try:
        cpu = open_backend(replace(options, backend="cpu"))
    except EngineError:
        return None
    found = (p for p in reversed(PRECISIONS) if p in cpu.precisions and is_complete(bundle, cpu, p))
    return next((Stages(bundle, cpu, precision) for precision in found), None)


def _open(
    bundle: Bundle, options: RuntimeOptions, meanwhile: Callable[[], None] | None
) -> tuple[Stages, Golden | None]:
    """The bundle's stages on the named backend."""
    name = options.backend
    with span(f"open {name}", "open"):
        backend = open_backend(options)
    try:
        return _first_that_passes(bundle, backend, options.precision, meanwhile)
    except EdgedragError:
        raise
    except Exception as error:  # libraries raise what they like; the message says what it was
        raise EngineError(f"{name} does not run bundle '{bundle.name}' ({summary(error)})") from error


def _first_that_passes(
    bundle: Bundle, backend: Backend, precision: str, meanwhile: Callable[[], None] | None
) -> tuple[Stages, Golden | None]:
    """The bundle's graphs in the backend's first placement that passes, with a warning for each that fails.

    The last placement is the one that every bundle has; of the others only those that this bundle has are tried.
    """
    there = {variant.placement for _, graph in bundle.graphs() for variant in graph.variants}
    *preferred, last = backend.placements
    for placement in preferred:
        if placement not in there:
            continue
        try:
            return _tested(bundle, backend, precision, placement, None)
        except EngineError as error:
            what = f"graphs for '{placement}' fail, the plain ones run"
            warnings.warn(f"{backend.name}: {what} ({error})", RuntimeWarning, stacklevel=6)
    return _tested(bundle, backend, precision, last, meanwhile)


def _tested(
    bundle: Bundle, backend: Backend, precision: str, placement: str, meanwhile: Callable[[], None] | None
) -> tuple[Stages, Golden | None]:
    """The bundle's stages on a backend, after the self-test of those on a device."""
    aside = meanwhile is not None and backend.name not in ON_A_DEVICE
    stages = Stages(bundle, backend, choose_precision(bundle, backend, precision), placement, aside)
    if meanwhile is not None and aside:
        meanwhile()
    stages.wait()
    if stages.precision == "int8" and backend.name in SATURATING and not multiplies_int8():
        warnings.warn(
            f"INT8 is less exact with {backend.name} on this processor ({backend.device}): without VNNI it adds pairs "
            f"of products in 16 bits, which saturate; precision fp32, or int8 on the backend cpu, does not",
            RuntimeWarning,
            stacklevel=7,  # the caller of edgedrag.open
        )
    if backend.name not in ON_A_DEVICE:
        return stages, None
    from edgedrag.runtime.selection.self_test import self_test  # here: an engine on the CPU takes none

    with span("self-test", "open"):
        golden = self_test(bundle, stages)
    if isinstance(backend, Compiling):
        backend.keep_compiled()
    return stages, golden
