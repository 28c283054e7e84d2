"""The output of `edgedrag engines compare`: a table for a terminal, a JSON object for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from edgedrag.benchmarks.engines.comparison.layers import EQUAL_DB, Difference, GraphDifference
from edgedrag.benchmarks.engines.comparison.runners import Side
from edgedrag.runtime.system.processor import cpu_name, multiplies_int8


@dataclass
class ComparisonReport:
    """A comparison, filled graph by graph.

    Attributes:
        sides: the reference and the compared side.
        tolerance_db: required SNR.
    """

    bundle: str
    sides: tuple[Side, Side]
    tolerance_db: float
    graphs: list[GraphDifference] = field(default_factory=list)

    def first_beyond(self) -> tuple[GraphDifference, Difference] | None:
        """The first layer beyond the tolerance, in execution order."""
        return next(((g, layer) for g in self.graphs for layer in g.layers if not layer.within), None)

    def as_json(self) -> dict[str, Any]:
        first = self.first_beyond()
        return {
            "bundle": self.bundle,
            "reference": str(self.sides[0]),
            "compared": str(self.sides[1]),
            "processor": cpu_name(),
            "multiplies_int8": multiplies_int8(),
            "tolerance_db": self.tolerance_db,
            "first_beyond": None if first is None else {"graph": first[0].title, **asdict(first[1])},
            "graphs": [asdict(graph) for graph in self.graphs],
        }

    def heading(self) -> Iterator[str]:
        reference, compared = self.sides
        yield f"{self.bundle}: {compared} against {reference}, {cpu_name()}"
        if "cpu:int8" in map(str, self.sides) and not multiplies_int8():
            yield "this processor saturates sums of 8-bit products; with VNNI, or on Arm, INT8 is more accurate"
        yield f"signal to difference in dB, worst of the runs; tolerance {self.tolerance_db:g} dB"

    def rows(self, graph: GraphDifference, every_layer: bool) -> Iterator[str]:
        """The lines of a graph: its outputs, then its layers or a summary."""
        yield f"{graph.title}, {graph.runs} run{'s' if graph.runs > 1 else ''}"
        for output in graph.outputs:
            yield _row("output", output)
        if every_layer:
            for layer in graph.layers:
                yield _row("layer", layer)
        beyond = [layer for layer in graph.layers if not layer.within]
        yield f"  {len(graph.layers)} layers compared, {len(beyond)} beyond tolerance"
        if beyond:
            yield _row("first", beyond[0])
        if graph.layers:
            yield _row(
                "worst", min(graph.layers, key=lambda layer: -EQUAL_DB if layer.snr_db is None else layer.snr_db)
            )

    def last_line(self) -> str:
        first = self.first_beyond()
        if first is None:
            return f"no layer beyond {self.tolerance_db:g} dB"
        graph, layer = first
        made_by = f"{layer.op} {layer.layer or layer.node}"
        return f"first layer beyond {self.tolerance_db:g} dB: {graph.title} '{layer.tensor}' ({made_by}), {_db(layer)}"


def _row(kind: str, difference: Difference) -> str:
    mark = "" if difference.within else "  beyond"
    layer = f"{difference.op} {difference.layer}"
    return f"  {kind:<7} {difference.tensor:<26} {layer:<32} {_db(difference):>12}{mark}"


def _db(difference: Difference) -> str:
    if difference.snr_db is None:
        return "not a number"
    return "equal" if difference.snr_db >= EQUAL_DB else f"{difference.snr_db:.1f} dB"
