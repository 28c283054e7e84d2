"""What a runtime is opened with: one value from the command line to the backend."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Final, Literal, get_args

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.system.cpus import allowed_cpus, default_threads

AUTO: Final = "auto"
BackendName = Literal["auto", "tensorrt-rtx", "tensorrt", "cuda", "cpu", "openvino"]  # in the order that "auto" tries
PrecisionName = Literal["auto", "int8", "bf16", "fp16", "fp32"]  # the least precise first
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)[1:]
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)[1:]


@dataclass(frozen=True)
class RuntimeOptions:
    """A bundle, and what it runs on.

    Attributes:
        bundle: its folder, or the name of one that ships with edgedrag.
        backend: one of `BACKENDS`, or "auto": the first of them that can serve.
        precision: one of `PRECISIONS`, or "auto": the one that the backend prefers.
        engines: folder of engines that `edgedrag engines build` made, for TensorRT; the user's cache where None.
        memory_budget: bytes of device memory for weights, on a GPU; without a limit where None.
        threads: of a backend on the CPU, and of OpenCV in this process; see `cpu_threads` where None.

    Raises:
        InputError: a value of another type, or out of its range; names the field.
    """

    bundle: str | Path = "embedded"
    backend: BackendName = AUTO
    precision: PrecisionName = AUTO
    engines: str | Path | None = None
    memory_budget: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.bundle, (str, Path)) or not str(self.bundle):
            raise InputError(f"bundle: {self.bundle!r} is not a folder or a shipped bundle's name")
        if self.engines is not None and not isinstance(self.engines, (str, Path)):
            raise InputError(f"engines: {self.engines!r} is not a folder")
        for field, value, known in (
            ("backend", self.backend, BACKENDS),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in (AUTO, *known):
                raise InputError(f"{field}: {value!r} is not one of {AUTO}, {', '.join(known)}")
        _check_count("memory_budget", self.memory_budget)
        _check_count("threads", self.threads)
        if self.memory_budget is not None and self.memory_budget < 1:
            raise InputError(f"memory_budget: {self.memory_budget} bytes; give at least 1")
        most = allowed_cpus()
        if self.threads is not None and not 1 <= self.threads <= most:
            raise InputError(
                f"threads: {self.threads} is not between 1 and {most}, the CPUs that this process may run on"
            )

    @property
    def engine_folder(self) -> Path | None:
        """`engines` as a path."""
        return None if self.engines is None else Path(self.engines)

    @property
    def cpu_threads(self) -> int:
        """`threads`, or as many as affinity and control groups leave to this process."""
        return self.threads or default_threads()


def _check_count(field: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise InputError(f"{field}: {value!r} is not a whole number")
