"""Options that several commands share."""

from __future__ import annotations

import functools
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

import edgedrag
from edgedrag.runtime.backends.tensorrt.library import MODULES
from edgedrag.runtime.codes import Code
from edgedrag.runtime.options import AUTO, BACKENDS, PRECISIONS, RuntimeOptions

FILE = click.Path(path_type=Path)
NO_MARK = "Do not write into the file's XMP data that a trained model changed it; see docs/photos.md."


class MemorySize(click.ParamType):
    """ "4GB" or "512MB" as bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMG])i?B\s*", str(value))
        if found is None:
            self.fail(f"{value!r} is not a size like 4GB or 512MB", param, ctx)
        return int(float(found[1]) * {"k": 1e3, "M": 1e6, "G": 1e9}[found[2]])


class BatchSizes(click.ParamType):
    """ "256x20:0.75,128x48:0.25" as (pixels, rows, share of the steps), ... ."""

    name = "sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, int, float], ...]:
        if isinstance(value, tuple):
            return value
        found = [re.fullmatch(r"\s*(\d+)x(\d+):(\d*\.?\d+)\s*", part) for part in str(value).split(",")]
        if None in found:
            self.fail(f"{value!r} is not a list like 256x20:0.75,128x48:0.25", param, ctx)
        return tuple((int(f[1]), int(f[2]), float(f[3])) for f in found if f is not None)


@dataclass(frozen=True)
class Engine:
    """The options of every command that runs drags."""

    options: RuntimeOptions
    steps: int | None
    seed: int
    max_megapixels: float

    def open(self) -> tuple[edgedrag.Runtime, float]:
        """Open the runtime; returns it and the milliseconds that took."""
        from edgedrag.runtime.session.runtime import open_with

        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            runtime = open_with(self.options)
        opened_ms = (time.perf_counter() - start) * 1e3
        for warning in caught:
            click.echo(f"warning: {warning.message}", err=True)
        for step in runtime.fallback:
            if step.code != Code.NOT_INSTALLED:
                click.echo(f"note: not on {step.backend} ({step.code}): {step.reason}", err=True)
        if self.options.engines is not None and runtime.backend.name not in MODULES:
            click.echo(f"note: --engines has no effect on the {runtime.backend.name} backend", err=True)
        return runtime, opened_ms


RUNTIME_OPTIONS = (
    click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder or name."),
    click.option("--backend", type=click.Choice([AUTO, *BACKENDS]), default=AUTO, show_default=True),
    click.option("--precision", type=click.Choice([AUTO, *reversed(PRECISIONS)]), default=AUTO, show_default=True),
    click.option("--engines", type=FILE, help="Folder of built engines, for TensorRT.  [default: the user's cache]"),
    click.option("--memory-budget", type=MemorySize(), help="Device memory for weights on a GPU, as 4GB."),
    click.option("--threads", type=int, help="On the CPU.  [default: the CPUs that this process may use]"),
)
DRAG_OPTIONS = (
    click.option("--steps", type=int, help="Denoising steps.  [default: the bundle's]"),
    click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result."),
    click.option(
        "--max-megapixels", type=float, default=100.0, show_default=True, help="Refuse photos larger than this."
    ),
)


TRACE = click.option("--trace", type=FILE, metavar="FILE.json",
                     help="Write what took how long, to be opened in Perfetto.")  # fmt: skip


def take_runtime_options(values: dict[str, Any]) -> RuntimeOptions:
    """Remove the values of `RUNTIME_OPTIONS` from a command's, and make them one. Raises InputError."""
    return RuntimeOptions(**{field.name: values.pop(field.name) for field in fields(RuntimeOptions)})


def runtime_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what a runtime is opened with to a command, which gets it as one argument `options`."""

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        command(options=take_runtime_options(values), **values)

    return _with(RUNTIME_OPTIONS, with_options)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what drags run with to a command, which gets it as one argument `engine`."""

    @functools.wraps(command)
    def with_engine(**values: Any) -> None:
        options = take_runtime_options(values)
        engine = Engine(options, *(values.pop(name) for name in ("steps", "seed", "max_megapixels")))
        command(engine=engine, **values)

    return _with((*RUNTIME_OPTIONS, *DRAG_OPTIONS), with_engine)


def _with(
    options: Sequence[Callable[[Callable[..., None]], Callable[..., None]]], command: Callable[..., None]
) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command


def step_counts(text: str) -> tuple[int, ...]:
    """ "1,2,4" as numbers, each once, the least first."""
    try:
        counts = tuple(sorted({int(count) for count in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers like 1,2,4", param_hint="--steps") from None
    if counts[0] < 1:
        raise click.BadParameter(f"{text!r}: a result takes at least 1 step", param_hint="--steps")
    return counts
