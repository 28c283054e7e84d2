"""The tables of a plan, and the page docs/planner.md, whose tables this writes:

python -m edgedrag.benchmarks.latency.plan_tables
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edgedrag
from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.latency.efficiency import COVERAGE, efficiencies
from edgedrag.benchmarks.latency.left_out import calibrations, left_out_rows
from edgedrag.benchmarks.latency.report import markdown
from edgedrag.benchmarks.latency.tables import Table
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside

BEGIN = "<!-- planner: written by python -m edgedrag.benchmarks.latency.plan_tables -->"
END = "<!-- planner: end -->"


def tables(plan: dict[str, Any]) -> list[Table]:
    """The tables of predictions, savings and validation."""
    return [_predictions(plan), _savings(plan), efficiency_table(), *validation_tables(plan["validation"])]


def _predictions(plan: dict[str, Any]) -> Table:
    target = plan["target_ms"]
    meets = () if target is None else (f"{number(target)} ms",)
    reasons = list(dict.fromkeys(reason for row in plan["rows"] for reason in row["why"]))
    rows = [
        [
            row["title"], f"{row['engine']} {row['precision']}", str(row["steps"]),
            "not known" if row["ms"] is None else number(row["ms"], 1), interval(row["band_ms"]),
            interval(row["graphs_band_ms"]), str(row["memory_mb"]), {True: "yes", False: "no", None: "-"}[row["fits"]],
            *(() if target is None else (row["meets_target"],)),
            ", ".join(str(reasons.index(reason) + 1) for reason in row["why"]),
            "; ".join(row["marks"]) or "measured here",
        ]
        for row in plan["rows"]
    ]  # fmt: skip
    head = ("device", "engine", "steps", "drag, ms", "interval", "its graphs, ms", "memory, MB", "fits", *meets,
            "rests on", "peaks")  # fmt: skip
    note = (
        "Predicted, not measured. An interval is a nominal 95%, from the errors of points that were left out. The time "
        "of a drag is not known where such intervals hold too few of these points, or where the time outside the "
        "graphs was not measured. It rests on: "
    )
    note += "; ".join(f"({at}) {reason}" for at, reason in enumerate(reasons, 1)) + "."
    return Table(f"Predicted: {plan['bundle']}", note, head, rows)


def interval(band: Sequence[float | None]) -> str:
    """Both ends; an open upper end where it is not known."""
    low, high = band
    if low is None:
        return "-"
    return f"from {number(low, 1)}" if high is None else f"{number(low, 1)} to {number(high, 1)}"


def _savings(plan: dict[str, Any]) -> Table:
    kinds = ("int8", "half_the_steps", "smaller_decoder")
    rows = [
        [row["device"], row["from"], number(row["ms"], 1)]
        + [f"{number(row[k]['ms'], 1)} ({-row[k]['saves']:+.0%})" if k in row else "-" for k in kinds]
        for row in plan["savings"]
    ]
    return Table(
        f"Savings, at {plan['savings_steps']} step(s)", "Milliseconds of a drag's graphs.",
        ("device", "from", "ms", "INT8", "half the steps", "a smaller decoder"), rows,
    )  # fmt: skip


def efficiency_table() -> Table:
    """The fitted efficiencies."""
    rows = [
        [*key, *(number(value, significant=3) for value in efficiency.shares().values())]
        for key, efficiency in efficiencies().items()
    ]
    head = ("engine", "class of device", *next(iter(efficiencies().values())).shares())
    note = (
        "Shares of the peak that each kind of operator reaches, fitted to measured graphs: of arithmetic, and for "
        "sampling and other operators of copied bytes; and microseconds for each operator and each run. The peak of a "
        "CPU is that of a large convolution on the same engine. A kind of which no measured graph has much keeps its "
        "prior, 0.4 for arithmetic."
    )
    return Table("Efficiencies", note, head, rows)


def validation_tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """How far each kind of prediction errs, and every point."""
    kinds = [
        [c.title, str(len(c.points)), f"{c.coverage:.0%}", number(c.factor, 2) if math.isfinite(c.factor) else "-",
         "yes" if c.known else "NO"]
        for c in calibrations()
    ]  # fmt: skip
    note = (
        f"Each point is predicted from the others: a graph without its own times in any precision, a drag without its "
        f"report, a GPU without its own points. Intervals reach from prediction / factor to prediction x factor; "
        f"known is what holds {COVERAGE:.0%} of the points."
    )
    summary = Table("Errors of left-out points", note, ("what", "points", "covered", "factor", "known"), kinds)
    shown = [
        [row["what"], row["device"], row["source"], number(row["predicted_ms"], significant=4),
         number(row["measured_ms"], significant=4), "-" if row["error"] is None else f"{row['error']:+.0%}",
         {True: "yes", False: "NO", None: "-"}[row["covered"]]]
        for row in rows
    ]  # fmt: skip
    head = ("what", "predicted for", "source", "predicted, ms", "measured, ms", "error", "covered")
    return [summary, Table("Predicted against measured", "", head, shown)]


def as_markdown(shown: Sequence[Table]) -> str:
    lines: list[str] = []
    for table in shown:
        lines += [f"## {table.title}", "", *((table.note, "") if table.note else ()), *markdown(table), ""]
    return "\n".join(lines)


def rewritten(page: str) -> str:
    """The text of docs/planner.md with the tables between the markers replaced.

    Raises:
        InputError: the markers are missing or repeated.
    """
    part = f"{BEGIN}\n{as_markdown([efficiency_table(), *validation_tables(left_out_rows())])}{END}"
    text, count = re.subn(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: part, page, flags=re.S)
    if count != 1:
        raise InputError(f"docs/planner.md: the tables go between {BEGIN} and {END}, which are there {count} times")
    return text


def main() -> None:
    """Rewrite docs/planner.md in the checkout."""
    page = Path(edgedrag.__file__).resolve().parents[2] / "docs" / "planner.md"
    write_aside(page, rewritten(page.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main()
