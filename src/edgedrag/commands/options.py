"""Options that several commands share."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

import edgedrag
from edgedrag.runtime.backends import NAMES

FILE = click.Path(path_type=Path)
PRECISIONS = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class Engine:
    """The options of every command that runs drags."""

    bundle: str
    backend: str
    precision: str
    engines: Path | None
    steps: int | None
    seed: int
    max_megapixels: float

    def open(self) -> tuple[edgedrag.Runtime, float]:
        """Open the runtime; returns it and the milliseconds that took."""
        start = time.perf_counter()
        runtime = edgedrag.open(self.bundle, self.backend, self.precision)
        if self.engines is not None and runtime.backend.name in ("openvino", "cpu"):
            click.echo(f"note: --engines has no effect on the {runtime.backend.name} backend", err=True)
        return runtime, (time.perf_counter() - start) * 1e3


ENGINE_OPTIONS = (
    click.option("--bundle", default="embedded", show_default=True, help="A bundle's folder, or a shipped name."),
    click.option("--backend", type=click.Choice(["auto", *NAMES]), default="auto", show_default=True),
    click.option(
        "--precision", type=click.Choice(["auto", "fp32", "fp16", "bf16", "int8"]), default="auto", show_default=True
    ),
    click.option("--engines", type=FILE, help="Folder of built engines, for the TensorRT backends."),
    click.option("--steps", type=int, help="Denoising steps.  [default: the bundle's]"),
    click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result."),
    click.option(
        "--max-megapixels", type=float, default=100.0, show_default=True, help="Refuse photos larger than this."
    ),
)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the engine's options to a command, which gets them as one argument `engine`."""

    @functools.wraps(command)
    def with_engine(**values: Any) -> None:
        engine = Engine(**{field.name: values.pop(field.name) for field in fields(Engine)})
        command(engine=engine, **values)

    decorated: Callable[..., None] = with_engine
    for option in reversed(ENGINE_OPTIONS):
        decorated = option(decorated)
    return decorated


def step_counts(text: str) -> tuple[int, ...]:
    """ "1,2,4" as numbers, each once, the least first."""
    try:
        counts = tuple(sorted({int(count) for count in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers like 1,2,4", param_hint="--steps") from None
    if counts[0] < 1:
        raise click.BadParameter(f"{text!r}: a result takes at least 1 step", param_hint="--steps")
    return counts
