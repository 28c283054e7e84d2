"""ONNX Runtime on the CPU, and what both its backends share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import: else it makes up an ID and writes it to HOME
import onnxruntime as ort

from edgedrag.runtime.backends.base import CompiledGraph, OnnxBackend
from edgedrag.runtime.backends.kept_graphs import LARGEST, KeptGraph
from edgedrag.runtime.bundle.external_data import check_external_data
from edgedrag.runtime.bundle.graphs import Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import BundleError, EdgedragError, EngineError
from edgedrag.runtime.system.cpus import default_threads
from edgedrag.runtime.system.processor import cpu_name, vector_instructions

ort.disable_telemetry_events()  # nothing leaves the device

CPU = ["CPUExecutionProvider"]


def open_session(graph: Graph, file: Path, options: ort.SessionOptions, providers: list[Any]) -> ort.InferenceSession:
    """A session on a graph's file. Raises EngineError where it does not load, BundleError where it is another graph."""
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise EngineError(f"{file}: ONNX Runtime cannot load this graph ({error})", Code.ENGINE_REFUSED) from None
    found = ({i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()})
    if found != ({t.name for t in graph.inputs}, set(graph.file_outputs.values())):
        raise BundleError(f"{file}: inputs and outputs are not those that the manifest names")
    return session


class OrtGraph:
    """A session on the CPU; its arrays are OrtValues, so nothing is copied between graphs."""

    def __init__(
        self, graph: Graph, file: Path, threads: int, settings: Mapping[str, str], kept: KeptGraph | None = None
    ):
        """`kept`: the place of the optimised graph, which is used instead of the file, or written."""
        self._threads, self._settings = threads, settings
        self._session = self._kept(graph, kept) or self._optimised(graph, file, kept)
        self._inputs = [t.name for t in graph.inputs]
        self._outputs = graph.file_outputs

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        # Where the number is left open, ONNX Runtime pins its threads, and complains where a container forbids that.
        options.intra_op_num_threads = self._threads
        for name, value in self._settings.items():
            options.add_session_config_entry(name, value)
        return options

    def _kept(self, graph: Graph, kept: KeptGraph | None) -> ort.InferenceSession | None:
        """A session on the optimised graph that is kept; None where there is none that loads."""
        found = None if kept is None else kept.find()
        if kept is None or found is None:
            return None
        options = self._options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            check_external_data(found, {})
            return open_session(graph, found, options, CPU)
        except EdgedragError:
            kept.remove()
            return None

    def _optimised(self, graph: Graph, file: Path, kept: KeptGraph | None) -> ort.InferenceSession:
        """A session on the graph's file, which keeps what it optimised where it can."""
        if kept is not None:
            with suppress(EngineError), kept.written() as place:  # also where the disk is full
                if place is not None:
                    options = self._options()
                    options.optimized_model_filepath = str(place)
                    return open_session(graph, file, options, CPU)
        return open_session(graph, file, self._options(), CPU)

    def run(self, inputs: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        given = {name: inputs[name] for name in self._inputs}
        return dict(zip(self._outputs, self._session.run_with_ort_values(list(self._outputs.values()), given)))


def kept_graph(bundle: Bundle, variant: Variant, settings: Mapping[str, str]) -> KeptGraph | None:
    """The place of what ONNX Runtime makes of a bundle's file on this processor; None for a large one."""
    files = {variant.file: variant.sha256, **dict(variant.external)}
    if sum((bundle.folder / name).stat().st_size for name in files) > LARGEST:
        return None
    return KeptGraph(files, dict(settings), ort.__version__, cpu_name(), vector_instructions())


class OnnxRuntimeCpu(OnnxBackend):
    """See `base.Backend`.

    Attributes:
        settings: of each session, by ONNX Runtime's names.
    """

    settings: Mapping[str, str] = {
        # Each session has its own threads; left to spin between runs, those of one graph slow down the next.
        "session.intra_op.allow_spinning": "0",
        # On an x86 without VNNI, slower INT8 kernels that do not saturate; without effect elsewhere.
        "session.x64quantprecision": "1",
    }
    name = "cpu"
    placements: tuple[str, ...] = ("ort",)

    def __init__(self, threads: int | None = None):
        self.device, self.threads = cpu_name(), threads or default_threads()
        # fp16 is for correctness; it is slower here.
        self.precisions: tuple[str, ...] = ("int8", "fp32", "fp16")

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> CompiledGraph:
        file = bundle.verified_file(variant)
        return OrtGraph(graph, file, self.threads, self.settings, kept_graph(bundle, variant, self.settings))

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        return OrtGraph(graph, file, self.threads, self.settings)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()
