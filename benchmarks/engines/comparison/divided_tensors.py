"""The tensors of an INT8 graph that are divided by channel, from its recipe (`calibration.graphs.smoothing`)."""

from __future__ import annotations

import json

from edgedrag.calibration.graphs.smoothing import Divisors
from edgedrag.calibration.recipe import ranges_of
from edgedrag.calibration.runs.branches import match_branch_names
from edgedrag.export.graph_file import read_graph
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.bundle.manifest import Bundle


def divided_tensors(bundle: Bundle, graph: Graph, branch: str) -> Divisors:
    """The divisors of tensors whose division is folded into a weight, by their names in a branch of the fp32 graph."""
    if "recipe" not in bundle.manifest:
        return {}
    recipe = json.loads(bundle.verified_recipe().read_text(encoding="utf-8"))
    if graph.name not in recipe["graphs"]:  # it stays in fp32
        return {}
    ranges = ranges_of(recipe["graphs"][graph.name])
    divided = {
        name: ranges.divisors[input_name]
        for input_name, output_name in ranges.folds.items()
        for name in (input_name, output_name)
    }
    if branch == "single" or not divided:
        return divided
    files = graph.files("fp32", "ort")
    single, own = (read_graph(bundle.folder / files[name].file) for name in ("single", branch))
    return {
        name: divided[first]
        for name, first in match_branch_names((graph.name, branch), single, own).items()
        if first in divided
    }
