"""Building engines from ONNX graphs with TensorRT and TensorRT-RTX, which share one Python API.

TensorRT-RTX builds ahead of time for a named GPU generation and needs no GPU. TensorRT builds on the device. Networks
are strongly typed: the graph states the precision (TensorRT 11 supports no other mode).
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from edgedrag.export.engines.facts import EngineFacts, ask_engine, make_log
from edgedrag.runtime.backends.tensorrt.library import MODULES, TITLES, import_library, start
from edgedrag.runtime.errors import EdgedragError, InputError

TARGETS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121")  # TensorRT-RTX builds for these without a GPU
THIS_GPU = "this-gpu"

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]  # smallest, usual and largest shape of each input
Progress = Callable[[float], None]  # called with the completed share of a build, 0..1


@dataclass(frozen=True)
class Settings:
    """Library and target of a build, and the content of its timing cache."""

    library: str
    target: str
    timing_cache: bytes


@dataclass(frozen=True)
class Built:
    """A built engine.

    Attributes:
        plan: the engine itself.
        facts: its device memory and INT8 layers.
        seconds: build time.
        timing_cache: TensorRT's measurements, for later builds; empty for TensorRT-RTX.
        cache_dropped: the given timing cache was of another version or GPU, and was not used.
    """

    plan: bytes
    facts: EngineFacts
    seconds: float
    timing_cache: bytes = b""
    cache_dropped: bool = False


def build_file(
    file: Path,
    shapes: Shapes,
    target: str,
    library: str = "tensorrt-rtx",
    progress: Progress = lambda done: None,
    timing_cache: bytes = b"",
) -> Built:
    """Build one ONNX file.

    Args:
        shapes: of the inputs with dynamic sizes.
        target: "sm_86" and the like, or "this-gpu", the only one that TensorRT builds for.

    Raises:
        InputError: the library does not support the target.
        EngineError: the library is not installed, or it needs a GPU and there is none.
        EdgedragError: the library rejects the graph; names the node and the reason.
        KeyboardInterrupt: Ctrl-C; the library stops at its next step.
    """
    check_target(library, target)
    trt = import_library(library)
    log, settings = make_log(trt), Settings(library, target, timing_cache)
    with deferred_interrupts() as interrupted:
        built = _build(trt, log, _make_monitor(trt, progress, interrupted), file, shapes, settings)
    if interrupted.is_set():
        raise KeyboardInterrupt
    # The builder's memory is free again: the engine can be loaded to read its facts.
    return replace(built, facts=ask_engine(trt, log, built.plan)) if target == THIS_GPU else built


def _build(trt: Any, log: Any, monitor: Any, file: Path, shapes: Shapes, settings: Settings) -> Built:
    library, target, started = settings.library, settings.target, time.perf_counter()
    builder = start(trt.Builder, log, library)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(file)):
        raise EdgedragError(f"{file.name}: {TITLES[library]} rejects it: {refusals(parser)}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # log and inspector then list the engine's layers
    config.progress_monitor = monitor
    cache, dropped = None, False
    if library == "tensorrt-rtx":
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # without it no stream can be captured
        config.num_compute_capabilities = 1
        name = "CURRENT" if target == THIS_GPU else target.upper().replace("_", "")
        config.set_compute_capability(getattr(trt.ComputeCapability, name), 0)
    else:
        cache, dropped = attach_timing_cache(config, settings.timing_cache)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        value = network.get_input(index)
        if -1 in tuple(value.shape):
            profile.set_shape(value.name, *shapes[value.name])
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None and monitor.interrupted.is_set():
        raise KeyboardInterrupt
    if plan is None:
        raise EdgedragError(f"{file.name}: {TITLES[library]} cannot build it for {target}: {log.errors[-1:]}")
    measured = b"" if cache is None else bytes(cache.serialize())
    return Built(bytes(plan), log.facts(), time.perf_counter() - started, measured, dropped)


def attach_timing_cache(config: Any, known: bytes) -> tuple[Any, bool]:
    """Attach the timing cache of earlier builds, or an empty one if it does not match GPU and version.

    Returns:
        The cache, to be kept alive during the build (None if unsupported), and whether the given data was dropped.
    """
    for data in dict.fromkeys((known, b"")):
        cache = config.create_timing_cache(data)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache, data != known
    return None, bool(known)


@contextmanager
def deferred_interrupts() -> Iterator[Event]:
    """Let Ctrl-C set the event instead of raising: an exception would be lost inside the builder."""
    noted = Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield noted
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.set())
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def check_target(library: str, target: str) -> None:
    """Raise InputError if a library cannot build for a target."""
    if library not in MODULES:
        raise InputError(f"engine '{library}' is not one of {', '.join(MODULES)}")
    if library == "tensorrt" and target != THIS_GPU:
        raise InputError(f"target '{target}': TensorRT builds on the device it is for; leave --target out there")
    if target not in (THIS_GPU, *TARGETS):
        raise InputError(f"target '{target}' is not one of {THIS_GPU}, {', '.join(TARGETS)}")


def _make_monitor(trt: Any, progress: Progress, interrupted: Event) -> Any:
    class Monitor(trt.IProgressMonitor):
        """Computes the completed share; a phase is nested in a step of its parent phase."""

        def __init__(self) -> None:
            super().__init__()
            self.interrupted = interrupted
            self._open: list[tuple[str, int]] = []  # name and steps, the outermost phase first
            self._done: list[int] = []
            self._most = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._open.append((phase_name, num_steps))
            self._done.append(0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._reach(phase_name, step + 1)
            self._report()
            return not self.interrupted.is_set()

        def phase_finish(self, phase_name: str) -> None:
            names = [name for name, _ in self._open]
            if phase_name in names:
                at = len(names) - 1 - names[::-1].index(phase_name)
                del self._open[at:], self._done[at:]

        def _reach(self, phase_name: str, steps: int) -> None:
            for at, (name, _) in enumerate(self._open):
                if name == phase_name:
                    self._done[at] = steps

        def _report(self) -> None:
            done, share = 0.0, 1.0
            for (_, steps), reached in zip(self._open, self._done):
                done += share * reached / max(steps, 1)
                share /= max(steps, 1)
            self._most = max(self._most, min(done, 1.0))
            progress(self._most)

    return Monitor()


def refusals(parser: Any) -> str:
    """The nodes that a parser rejected, each once, with the reasons."""
    reasons = []
    for error in (parser.get_error(index) for index in range(parser.num_errors)):
        why = " ".join(error.desc().split())
        node = f"{error.node_operator()} {error.node_name()}".strip()
        reasons.append(f"{node}: {'no such operator' if why == 'false' else why}")
    return "; ".join(dict.fromkeys(reasons))
