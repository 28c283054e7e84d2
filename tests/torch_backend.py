"""PyTorch as an engine for LightningDrag's bundle: the modules that its graphs were exported from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgedrag.export.lightningdrag.graphs import graphs_of
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.backends.base import OnnxBackend
from edgedrag.runtime.bundle.graphs import Graph


class TorchGraph:
    def __init__(self, weights: Weights, file: Path):
        spec, branch = next((s, b) for s in graphs_of(weights.size) for b in s.branches if s.file_name(b) == file.name)
        self._module, self._spec = branch.build(weights).eval(), spec

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        made = self._module(*[inputs[name] for name in self._spec.inputs])
        return dict(zip(self._spec.outputs, made if isinstance(made, tuple) else (made,)))


class TorchBackend(OnnxBackend):
    """See `runtime.backends.base.Backend`; always in float32."""

    name, device = "cpu", "PyTorch"
    placements: tuple[str, ...] = ("ort",)
    precisions: tuple[str, ...] = ("fp32", "fp16")

    def __init__(self, weights: Weights):
        self._weights = weights

    def compile(self, graph: Graph, file: Path, precision: str) -> TorchGraph:
        return TorchGraph(self._weights, file)

    def upload(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float32))

    def download(self, array: Tensor) -> np.ndarray:
        return array.numpy()
