"""Writes the table of graph inputs into docs/bundle.md, from `runtime/bundle/graph_inputs.py`.

python tools/graph_inputs_table.py
"""

from __future__ import annotations

from pathlib import Path

from edgedrag.runtime.bundle.graph_inputs import GRAPH_INPUTS, GraphInput

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bundle.md"
BEGIN, END = "<!-- graph inputs: written by python tools/graph_inputs_table.py -->", "<!-- graph inputs: end -->"
SOURCES = ("photo", "point", "mask", "points", "step")


def line(row: GraphInput) -> str:
    shape = "as declared" if row.shape is None else ", ".join(map(str, row.shape))
    sources = ", ".join(source for source in SOURCES if source in row.depends_on)
    return f"| `{row.name}` | {shape} | `{row.stage}` | {sources} | `{row.maker}` | {row.meaning} |"


def table() -> str:
    """The lines between the markers."""
    head = ["| name | shape | from stage | depends on | made by | what |", "|---|---|---|---|---|---|"]
    return "\n".join(head + [line(row) for row in GRAPH_INPUTS.values()])


def main() -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
