"""Recording the inputs of a bundle's graphs while drags run on the CPU in the bundle's highest precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgedrag.benchmarks.engines.comparison.runners import parse_side
from edgedrag.benchmarks.latency.scene import SMALL, disc, test_photo
from edgedrag.runtime.backends.base import Array, Backend, CompiledGraph
from edgedrag.runtime.backends.registry import open_backend
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.options import RuntimeOptions
from edgedrag.runtime.photo.picture import MAX_MEGAPIXELS
from edgedrag.runtime.session.jobs import Job, read_jobs
from edgedrag.runtime.session.runtime import Runtime

RUNS = 2  # recorded runs of a graph in each drag: the first and the last

Feed = dict[str, np.ndarray]  # a graph's inputs by name
Place = tuple[str, str]  # a graph's name and the name of one of its branches


def read_drags(file: Path | None) -> list[Job]:
    """The drags of a job list as for `edgedrag batch`.

    Raises:
        InputError: the file cannot be read, has an invalid line, or has no drags.
    """
    if file is None:
        return []
    jobs = []
    for _, job in read_jobs(file, Path(), None, 0, MAX_MEGAPIXELS):
        if isinstance(job, InputError):
            raise job
        jobs.append(job)
    if not jobs:
        raise InputError(f"{file}: it has no drags")
    return jobs


class RecordingGraph:
    """A graph that records its inputs in the first and the last run of each drag."""

    def __init__(self, graph: CompiledGraph, names: Sequence[str], backend: Backend):
        self._graph, self._names, self._backend = graph, names, backend
        self._runs = 0  # of this drag
        self.feeds: list[Feed] = []

    def begin_drag(self) -> None:
        self._runs = 0

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if self._runs >= RUNS:
            self.feeds.pop()
        self._runs += 1
        self.feeds.append({name: np.array(self._backend.download(inputs[name])) for name in self._names})
        return self._graph.run(inputs)


def record_inputs(bundle: Bundle, jobs: Sequence[Job]) -> dict[Place, list[Feed]]:
    """Run drags; returns the inputs of each graph and branch that ran, in execution order.

    Args:
        jobs: the drags; if empty, one drag on the synthetic photo of the latency benchmarks.

    Raises:
        InputError: a drag is invalid; says which and why.
        EngineError: ONNX Runtime is not installed.
    """
    backend = open_backend(RuntimeOptions(backend="cpu"))
    stages = Stages(bundle, backend, parse_side(backend.name, bundle).precision)
    recorded: dict[Place, RecordingGraph] = {}
    for _, graph, compiled in stages.graphs():
        for branch in compiled:
            recording = RecordingGraph(compiled[branch], [t.name for t in graph.inputs], backend)
            compiled[branch] = recorded[graph.name, branch] = recording
    runtime = Runtime(bundle, stages)
    for _ in _run_each(runtime, jobs):
        for recording in recorded.values():
            recording.begin_drag()
    return {place: recording.feeds for place, recording in recorded.items() if recording.feeds}


def _run_each(runtime: Runtime, jobs: Sequence[Job]) -> Iterator[None]:
    """Run the drags, yielding after each."""
    for job in jobs:
        runtime.load(job.photo, job.max_megapixels).drag(job.drags, job.mask, steps=job.steps, seed=job.seed)
        yield
    if not jobs:
        (height, width), radius = SMALL
        mask, (x, y) = disc(height, width, radius)
        runtime.load(test_photo(height, width)).drag([((x, y), (x + radius / 4, y))], mask)
        yield
