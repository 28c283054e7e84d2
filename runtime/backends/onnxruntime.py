"""ONNX Runtime on the CPU, and what both its backends share."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import: else it makes up an ID and writes it to HOME
import onnxruntime as ort

from edgedrag.runtime.backends.base import CompiledGraph, OnnxBackend
from edgedrag.runtime.backends.kept_graphs import LARGEST, MAPPED, WEIGHTS, KeptGraph
from edgedrag.runtime.bundle.graphs import Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import BundleError, EdgedragError, EngineError
from edgedrag.runtime.system.cpus import default_threads
from edgedrag.runtime.system.processor import cpu_name, vector_instructions

ort.disable_telemetry_events()  # nothing leaves the device

CPU = ["CPUExecutionProvider"]
SAVED_WEIGHTS = "session.optimized_model_external_initializers"


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

    def __init__(self, graph: Graph, session: ort.InferenceSession):
        self._session = session
        self._inputs = [t.name for t in graph.inputs]
        self._outputs = graph.file_outputs

    def run(self, inputs: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        given = {name: inputs[name] for name in self._inputs}
        return dict(zip(self._outputs, self._session.run_with_ort_values(list(self._outputs.values()), given)))


def kept_graph(bundle: Bundle, variant: Variant, settings: Mapping[str, str]) -> KeptGraph | None:
    """The place of what ONNX Runtime makes of a bundle's file on this processor; None for one that is not kept.

    A file that was written to since is another one: so the bundle's files are hashed when the optimised graph is made,
    and at later starts that graph alone.
    """
    files, size = [], 0
    for name, digest in ((variant.file, variant.sha256), *variant.external):
        try:
            state = (bundle.folder / name).lstat()
        except OSError:
            return None
        if not stat.S_ISREG(state.st_mode):
            return None
        files.append([name, digest, state.st_size, state.st_mtime_ns])
        size += state.st_size
    if size > LARGEST:
        return None
    return KeptGraph(files, dict(settings), ort.__version__, cpu_name(), vector_instructions())


@cache
def share_memory() -> None:
    """Let sessions with the setting "session.use_env_allocators" take their memory from one place.

    Graphs run one after the other: what one gives back, the next one takes, where each else would have its own.
    """
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    with suppress(Exception):  # the application has registered one, which serves as well; they share no base class
        ort.create_and_register_allocator(info, ort.OrtArenaCfg(0, -1, -1, -1))


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
        "session.use_env_allocators": "1",  # see `share_memory`
    }
    name = "cpu"
    placements: tuple[str, ...] = ("ort",)

    def __init__(self, threads: int | None = None):
        self.device, self.threads = cpu_name(), threads or default_threads()
        # fp16 is for correctness; it is slower here.
        self.precisions: tuple[str, ...] = ("int8", "fp32", "fp16")
        share_memory()

    def load(self, bundle: Bundle, graph: Graph, variant: Variant, precision: str) -> CompiledGraph:
        kept = kept_graph(bundle, variant, self.settings)
        session = self._kept(graph, kept) or self._optimised(graph, bundle.verified_file(variant), kept)
        return OrtGraph(graph, session)

    def compile(self, graph: Graph, file: Path, precision: str) -> CompiledGraph:
        return OrtGraph(graph, self._optimised(graph, file, None))

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        # Where the number is left open, ONNX Runtime pins its threads, and complains where a container forbids that.
        options.intra_op_num_threads = self.threads
        for name, value in self.settings.items():
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
                    options.add_session_config_entry(f"{SAVED_WEIGHTS}_file_name", WEIGHTS)
                    options.add_session_config_entry(f"{SAVED_WEIGHTS}_min_size_in_bytes", str(MAPPED))
                    return open_session(graph, file, options, CPU)
        return open_session(graph, file, self._options(), CPU)

    def upload(self, array: np.ndarray) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def download(self, array: ort.OrtValue) -> np.ndarray:
        return array.numpy()
