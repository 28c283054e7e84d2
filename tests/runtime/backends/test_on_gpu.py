"""A GPU's memory and recordings, TensorRT-RTX and ONNX Runtime CUDA on it, against the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgedrag
from edgedrag.benchmarks.engines.parity import graph_parity
from edgedrag.export.engines.build import Request, build_engines
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.runtime.backends.device.cuda import CudaDevice
from edgedrag.runtime.backends.registry import probe
from edgedrag.runtime.bundle.manifest import open_bundle

pytestmark = pytest.mark.gpu

DRAGS = [((265, 240), (240, 248))]
LEAST_SNR = {"fp16": 35.0, "int8": 12.0, "fp32": 40.0}


@pytest.fixture(scope="module", params=["tensorrt-rtx", "tensorrt"])
def library(request: pytest.FixtureRequest) -> str:
    finding = probe(request.param)
    if not finding.usable:
        pytest.skip(finding.reason)
    return request.param


@pytest.fixture(scope="module", params=["fp16", "int8"])
def runtime_of(
    request: pytest.FixtureRequest, library: str, tmp_path_factory: pytest.TempPathFactory
) -> edgedrag.Runtime:
    folder: Path = tmp_path_factory.mktemp("engines")
    bundle = open_bundle("embedded")
    list(build_engines(bundle, Request(library, ("this-gpu",), request.param, tuple(bundle.sizes)), folder))
    return edgedrag.open("embedded", library, request.param, folder)


def test_every_graph_is_what_the_cpu_computes(runtime_of: edgedrag.Runtime) -> None:
    for row in graph_parity(runtime_of.bundle, runtime_of.stages):
        assert row["snr_db"] >= LEAST_SNR[runtime_of.precision], row


def test_drags_are_what_the_cpu_makes_of_them(runtime_of: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, truth = runtime_of.load(cat), edgedrag.open(backend="cpu", precision="fp32").load(cat)
    for drags, steps in ((DRAGS, 1), (DRAGS, 4), ([*DRAGS, ((230, 230), (215, 240))], 2), (DRAGS, 4)):
        edit, expected = photo.drag(drags, steps=steps), truth.drag(drags, steps=steps)
        assert psnr_in_mask(edit.image, expected.image, edit.mask) > (35 if runtime_of.precision == "fp16" else 28)
        assert np.array_equal(edit.image[~edit.mask], cat[~edit.mask])
        photo.undo(), truth.undo()


def test_device_memory_and_recordings() -> None:
    device = CudaDevice()
    values, found = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)
    first, second = device.allocate(values.nbytes), device.allocate(values.nbytes)
    device.write(first, values)
    recording = device.record(lambda: device.copy(second, first, values.nbytes))
    device.write(second, found)
    device.read(second, found)
    assert not found.any(), "recorded, not run"
    recording.run()
    device.read(second, found)
    assert np.array_equal(found, values)
    recording.release()
    with pytest.raises(edgedrag.EngineError, match="host"):
        device.record(lambda: device.write(first, values))
    device.write(first, values + 1)
    device.read(first, found)
    assert np.array_equal(found, values + 1), "the stream works after a recording that was refused"
    device.free(first), device.free(second)
    with pytest.raises(MemoryError):
        device.allocate(1 << 50)


@pytest.fixture(scope="module", params=["fp16", "fp32"])
def onnx_runtime_cuda(request: pytest.FixtureRequest) -> edgedrag.Runtime:
    finding = probe("cuda")
    if not finding.usable:
        pytest.skip(finding.reason)
    return edgedrag.open(backend="cuda", precision=request.param)


def test_every_graph_of_onnx_runtime_is_what_the_cpu_computes(onnx_runtime_cuda: edgedrag.Runtime) -> None:
    for _ in range(3):  # run, recorded, replayed
        for row in graph_parity(onnx_runtime_cuda.bundle, onnx_runtime_cuda.stages):
            assert row["snr_db"] >= LEAST_SNR[onnx_runtime_cuda.precision], row


def test_drags_of_onnx_runtime_are_what_the_cpu_makes_of_them(
    onnx_runtime_cuda: edgedrag.Runtime, cat: np.ndarray
) -> None:
    photo, truth = onnx_runtime_cuda.load(cat), edgedrag.open(backend="cpu", precision="fp32").load(cat)
    for drags, steps in ((DRAGS, 1), (DRAGS, 4), ([*DRAGS, ((230, 230), (215, 240))], 2), (DRAGS, 4), (DRAGS, 8)):
        edit, expected = photo.drag(drags, steps=steps), truth.drag(drags, steps=steps)
        assert psnr_in_mask(edit.image, expected.image, edit.mask) > 35
        assert np.array_equal(edit.image[~edit.mask], cat[~edit.mask])
        photo.undo(), truth.undo()
