"""Parity of single graphs on the CPU's own other precisions, and on the device backends' logic."""

from __future__ import annotations

import pytest
from host_device import HostBackend

from edgedrag.benchmarks.engines.parity import graph_parity
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.drag.stages import Stages

GRAPHS = ["hold_features", "hold_answers", "encoder", "condition", "denoiser", "decoder"]


@pytest.mark.parametrize(("precision", "least"), [("fp32", 100.0), ("fp16", 35.0), ("int8", 12.0)])
def test_each_graph_alone(precision: str, least: float) -> None:
    bundle = open_bundle("embedded")
    rows = graph_parity(bundle, Stages(bundle, OnnxRuntimeCpu(), precision))
    assert [row["graph"] for row in rows] == GRAPHS
    assert all(row["snr_db"] >= least for row in rows), rows


def test_on_a_device() -> None:
    bundle = open_bundle("embedded")
    assert all(row["snr_db"] > 200 for row in graph_parity(bundle, Stages(bundle, HostBackend(), "fp32")))
