"""The work of a graph by kind of operator: what the planner divides by a device's peaks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("graph_work.json")
# Convolutions and matrix products in FLOPs, sampled values, bytes (fp32) of all other operators, operators.
KINDS = ("convolution", "product", "sampled", "bytes", "operators")
OPERATORS = 60.0  # of a graph that was not counted; assumed
Work = np.ndarray  # float64, one value for each of KINDS


@cache
def _networks() -> dict[str, dict[str, dict[str, float]]]:
    return json.loads(FILE.read_text())["networks"]


def counted(network: str, graph: str, pixels: float) -> Work | None:
    """The work of one run of a network's graph at so many pixels; None for one that was not counted."""
    row = _networks().get(network, {}).get(graph)
    if row is None:
        return None
    return np.array([row[kind] for kind in KINDS]) * [*[pixels / row["pixels"]] * 4, 1.0]


def estimated(flops: float, moved: float) -> Work:
    """The work of a graph that was not counted, from its manifest: all arithmetic counts as convolutions."""
    return np.array([flops, 0.0, 0.0, moved, OPERATORS])
