"""Parity of a bundle's graphs on an engine with ONNX Runtime on the CPU, on the golden drag's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgedrag.runtime.backends.base import Array, CompiledGraph
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages, choose_precision
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.selection.self_test import read_golden, run_golden, snr_db


class RecordedGraph:
    """A graph that records inputs and outputs of its first run."""

    def __init__(self, graph: CompiledGraph, names: list[str]):
        self._graph, self._names = graph, names
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        copies = {name: np.array(inputs[name].numpy()) for name in self._names}
        outputs = self._graph.run(inputs)
        if not self.inputs:
            self.inputs = copies
            self.outputs = {name: np.array(array.numpy()) for name, array in outputs.items()}
        return outputs


def graph_parity(bundle: Bundle, tested: Stages) -> list[dict[str, Any]]:
    """The SNR (dB) of each graph and branch in the golden drag: its worst output.

    Inputs are those of the CPU run (fp32, or fp16 if the bundle has no fp32), so that errors do not accumulate.

    Raises:
        InputError: the bundle has no golden drag.
    """
    golden = read_golden(bundle)
    if golden is None:
        raise InputError(f"bundle '{bundle.name}' has no golden drag; export it again")
    cpu = OnnxRuntimeCpu()
    cpu.precisions = ("fp32", "fp16")
    exact = Stages(bundle, cpu, choose_precision(bundle, cpu))
    recordings: dict[tuple[str, str], RecordedGraph] = {}
    for _, graph, compiled in exact.graphs():
        for branch in compiled:
            recordings[graph.name, branch] = RecordedGraph(compiled[branch], [t.name for t in graph.inputs])
            compiled[branch] = recordings[graph.name, branch]
    run_golden(bundle, exact, golden)
    rows = []
    for _, graph, compiled in tested.graphs():
        for branch, engine in compiled.items():
            recorded = recordings[graph.name, branch]
            if not recorded.inputs:
                continue
            inputs = {t.name: tested.backend.upload(recorded.inputs[t.name].astype(t.dtype)) for t in graph.inputs}
            outputs = {name: tested.backend.download(array) for name, array in engine.run(inputs).items()}
            snrs = {name: round(snr_db(recorded.outputs[name], array), 1) for name, array in outputs.items()}
            rows.append({"graph": graph.name, "branch": branch, "snr_db": min(snrs.values()), "outputs": snrs})
    return rows
