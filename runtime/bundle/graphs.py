"""The graphs of a bundle as its manifest states them: stages, tensors, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRAG_STAGES = ("reference", "drag", "denoise", "decode")  # of a drag, in the order in which they run
HOLD = "hold"  # the stage that says what moves with a point; a bundle may lack it
STAGES = (*DRAG_STAGES, HOLD)

Size = tuple[int, int]  # H, W


def concrete_shape(shape: tuple[int | str, ...], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape with its symbols (H, W, N, and these divided) replaced by `sizes`."""

    def size(dim: int | str) -> int:
        if isinstance(dim, int):
            return dim
        symbol, _, divisor = dim.partition("/")
        return sizes[symbol] // int(divisor or 1)

    return tuple(size(d) for d in shape)


def hold_sizes(manifest: Mapping[str, Any]) -> list[list[Size]]:
    """The sizes at which the hold looks at a photo, for each of the aspects that it knows; none without the stage."""
    return [[(h, w) for h, w in sizes] for sizes in manifest.get(HOLD, {"sizes": []})["sizes"]]


def sizes_of(manifest: Mapping[str, Any], stage: str) -> list[Size]:
    """The sizes that a stage's graphs run at: the window's, or the hold's."""
    if stage == HOLD:
        return list(dict.fromkeys(size for sizes in hold_sizes(manifest) for size in sizes))
    return [(h, w) for h, w in manifest["window"]["sizes"]]


@dataclass(frozen=True)
class Tensor:
    """A named input or output of a graph; a size is a number or a symbol such as "H/8"."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str

    def concrete(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with symbols H, W, N replaced."""
        return concrete_shape(self.shape, sizes)


@dataclass(frozen=True)
class Variant:
    """One file of a graph: a precision, an engine's placement, a guidance branch."""

    precision: str
    placement: str
    branch: str
    file: str
    sha256: str
    external: tuple[tuple[str, str], ...]

    def nbytes(self, folder: Path) -> int:
        """Of the file and the weights beside it, in a bundle's folder."""
        return sum((folder / name).stat().st_size for name in (self.file, *dict(self.external)))


@dataclass(frozen=True)
class Graph:
    """A graph of a stage, in the order in which the stage runs them."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    variants: tuple[Variant, ...]
    cost: dict[str, Any]
    pair_cost: dict[str, Any] | None = None

    def files(self, precision: str, placement: str) -> dict[str, Variant]:
        """The files of a precision, by branch: those placed for an engine, else, but for INT8, those that all run."""
        general = placement if precision == "int8" else "ort"
        usable = [v for v in self.variants if v.precision == precision and v.placement in (placement, general)]
        return {v.branch: v for v in sorted(usable, key=lambda v: v.placement == placement)}

    @property
    def file_outputs(self) -> dict[str, str]:
        """Output name -> its name in the file: an output that replaces an input is X_next there."""
        inputs = {t.name for t in self.inputs}
        return {t.name: f"{t.name}_next" if t.name in inputs else t.name for t in self.outputs}


def parse_graph(entry: dict[str, Any]) -> Graph:
    """A graph from its entry in a manifest that the schema has validated."""

    def tensors(key: str) -> tuple[Tensor, ...]:
        return tuple(Tensor(t["name"], t["dtype"], tuple(t["shape"]), t["meaning"]) for t in entry[key])

    variants = tuple(
        Variant(
            v["precision"],
            v["placement"],
            v.get("branch", "single"),
            v["file"],
            v["sha256"],
            tuple((e["file"], e["sha256"]) for e in v.get("external", ())),
        )
        for v in entry["variants"]
    )
    return Graph(entry["name"], tensors("inputs"), tensors("outputs"), variants, entry["cost"], entry.get("pair_cost"))
