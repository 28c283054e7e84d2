"""The table of graph inputs in docs/bundle.md is the one that its tool writes."""

from __future__ import annotations

import runpy

from conftest import REPOSITORY


def test_the_page_holds_the_table() -> None:
    tool = runpy.run_path(str(REPOSITORY / "tools" / "graph_inputs_table.py"))
    committed = tool["PAGE"].read_text().split(tool["BEGIN"])[1].split(tool["END"])[0].strip()
    assert committed == tool["table"](), "run `python tools/graph_inputs_table.py`"
