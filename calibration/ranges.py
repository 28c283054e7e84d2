"""The range of every tensor that passes between graphs, recorded on real drags.

python -m edgedrag.calibration.ranges BUNDLE JOBS.jsonl -o RANGES.json

Says at once whether fp16 can hold them; INT8 ranges are to be built on the same recording.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgedrag.runtime.backends import open_backend
from edgedrag.runtime.backends.base import Array, Backend, CompiledGraph
from edgedrag.runtime.bundle import Graph, open_bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.image import write_aside
from edgedrag.runtime.jobs import Job, read_jobs
from edgedrag.runtime.session import Runtime
from edgedrag.runtime.stages import Stages, choose_precision

FP16_LARGEST = float(np.finfo(np.float16).max)


class RecordingBackend:
    """A backend that runs on another one and keeps each tensor's smallest and largest value."""

    def __init__(self, inner: Backend):
        self._inner = inner
        self.name, self.device = inner.name, inner.device
        self.placement, self.precisions = inner.placement, inner.precisions
        self.ranges: dict[str, tuple[float, float]] = {}

    def compile(self, graph: Graph, file: Path) -> CompiledGraph:
        return _RecordingGraph(self, self._inner.compile(graph, file))

    def upload(self, array: np.ndarray) -> Array:
        return self._inner.upload(array)

    def download(self, array: Array) -> np.ndarray:
        return self._inner.download(array)

    def record(self, tensors: Mapping[str, Array]) -> None:
        for name, array in tensors.items():
            values = self.download(array)
            low, high = self.ranges.get(name, (np.inf, -np.inf))
            self.ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))


class _RecordingGraph:
    def __init__(self, backend: RecordingBackend, inner: CompiledGraph):
        self._backend, self._inner = backend, inner

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = self._inner.run(inputs)
        self._backend.record(inputs)
        self._backend.record(outputs)
        return outputs


def record_ranges(bundle: str | Path, jobs: Iterable[Job]) -> dict[str, Any]:
    """Run the jobs on the CPU in fp32 and return {"tensors": {name: [low, high]}, "drags", "fits_fp16"}.

    Raises:
        InputError: there are no jobs, or one cannot be run.
    """
    opened = open_bundle(bundle)
    backend = RecordingBackend(open_backend("cpu"))
    precision = choose_precision(opened, backend, "fp32")
    runtime = Runtime(opened, Stages(opened, backend, precision), precision)
    count = 0
    for job in jobs:
        runtime.load(job.photo, job.max_megapixels).drag(job.drags, job.mask, steps=job.steps, seed=job.seed)
        count += 1
    if not count:
        raise InputError("no drags to record ranges on")
    largest = max(max(abs(low), abs(high)) for low, high in backend.ranges.values())
    tensors = {name: [low, high] for name, (low, high) in sorted(backend.ranges.items())}
    return {"tensors": tensors, "drags": count, "fits_fp16": largest < FP16_LARGEST}


@click.command()
@click.argument("bundle")
@click.argument("jobs", type=click.Path(path_type=Path), metavar="JOBS.jsonl")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(bundle: str, jobs: Path, output: Path) -> None:
    """Record the tensor ranges of BUNDLE on the drags of JOBS.jsonl (see `edgedrag batch`)."""
    listed: list[Job] = []
    with tempfile.TemporaryDirectory() as nowhere:
        for _, job in read_jobs(jobs, Path(nowhere), None, 0, 100.0):
            if isinstance(job, InputError):
                raise job
            listed.append(job)
    write_aside(output, (json.dumps(record_ranges(bundle, listed), indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
