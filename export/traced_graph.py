"""A PyTorch module as a graph of a bundle: its file, its entry in the manifest, its parity."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edgedrag.export.bundle_writer import file_variant
from edgedrag.export.costs import measure_cost
from edgedrag.export.parity import snr_db
from edgedrag.export.trace import trace
from edgedrag.runtime.errors import EdgedragError

MULTIPLE = 32  # H and W are multiples of this

MIN_SNR_DB = 60.0

Shape = list[int | str]


@dataclass(frozen=True)
class TracedGraph:
    """A module that becomes a graph; the graph's inputs are named like the arguments of `forward`.

    Attributes:
        tensors: shape and meaning of each input and output.
    """

    name: str
    module: nn.Module
    outputs: tuple[str, ...]
    tensors: Mapping[str, tuple[Shape, str]]

    @property
    def inputs(self) -> list[str]:
        return list(inspect.signature(self.module.forward).parameters)

    @property
    def file_outputs(self) -> list[str]:
        """Output names in the file; an output X with the name of an input is called X_next (docs/bundle.md)."""
        return [f"{name}_next" if name in self.inputs else name for name in self.outputs]

    def shapes(self) -> list[Shape]:
        """Of the inputs."""
        return [self.tensors[name][0] for name in self.inputs]


def write_graph(graph: TracedGraph, example: Sequence[Tensor], file: Path) -> dict[str, Any]:
    """Write a graph's file; returns its entry in the manifest.

    Args:
        example: the module's arguments, see `to_program`.
    """
    shapes = graph.shapes()
    onnx.save(trace(graph.module, example, graph.inputs, graph.file_outputs, shapes, MULTIPLE), file)

    def entries(names: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"name": n, "dtype": "float32", "shape": graph.tensors[n][0], "meaning": graph.tensors[n][1]} for n in names
        ]

    return {
        "name": graph.name,
        "inputs": entries(graph.inputs),
        "outputs": entries(graph.outputs),
        "variants": [file_variant(file, "fp32", "ort")],
        "cost": measure_cost(copy.deepcopy(graph.module).to("meta"), shapes),
    }


def parity(graph: TracedGraph, file: Path, inputs: Sequence[Tensor]) -> float:
    """The lowest SNR (dB) of a graph's outputs on ONNX Runtime against the PyTorch module's."""
    with torch.no_grad():
        expected = graph.module(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    actual = session.run(graph.file_outputs, {n: t.numpy() for n, t in zip(graph.inputs, inputs)})
    return min(snr_db(e.numpy(), f) for e, f in zip(expected, actual))


def parity_row(graph: TracedGraph, file: Path, inputs: Sequence[Tensor], size: tuple[int, int]) -> dict[str, Any]:
    """A row of the manifest's `provenance.parity`, for inputs of a picture of `size` (H, W).

    Raises:
        EdgedragError: the SNR is below MIN_SNR_DB.
    """
    (h, w), snr = size, parity(graph, file, inputs)
    if snr < MIN_SNR_DB:
        raise EdgedragError(f"{graph.name} at {h} x {w}: SNR {snr:.1f} dB against PyTorch, below {MIN_SNR_DB}")
    return {"graph": graph.name, "height": h, "width": w, "snr_db": round(snr, 1)}
