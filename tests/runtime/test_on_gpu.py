"""TensorRT-RTX and ONNX Runtime CUDA on a GPU: engines built on the spot, against the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgedrag
from edgedrag.benchmarks.engines.parity import graph_parity
from edgedrag.benchmarks.metrics.pixels import psnr_in_mask
from edgedrag.export.build import Request, build_engines
from edgedrag.runtime.backends import probe
from edgedrag.runtime.bundle import open_bundle

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


def test_onnx_runtime_on_the_gpu(cat: np.ndarray) -> None:
    finding = probe("cuda")
    if not finding.usable:
        pytest.skip(finding.reason)
    edit = edgedrag.open(backend="cuda").load(cat).drag(DRAGS)
    expected = edgedrag.open(backend="cpu", precision="fp32").load(cat).drag(DRAGS)
    assert psnr_in_mask(edit.image, expected.image, edit.mask) > 35
