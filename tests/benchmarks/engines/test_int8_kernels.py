"""The ways to run INT8 that are compared are the same graphs, but for what each changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgedrag.benchmarks.engines.int8_kernels import VARIANTS, open_variants, speed, to_seven_bits
from edgedrag.export.graph_file import read_graph
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.selection.self_test import self_test


@pytest.mark.slow
def test_every_variant_meets_the_golden_drag_and_is_timed(tmp_path: Path) -> None:
    bundle = open_bundle("embedded")
    runtimes = open_variants(bundle, tmp_path)
    assert all(self_test(bundle, runtime.stages) is not None for runtime in runtimes.values())
    rows = speed(runtimes, 3)
    assert rows.keys() == VARIANTS.keys()
    for row in rows.values():
        ratio = row["fp32_over_processor_ms"]
        assert 0 < ratio["low"] <= ratio["high"] and ratio["ratio"] > 0 and row["processor_ms"] > 0


def test_seven_bits_halve_the_weights_and_double_their_scales() -> None:
    file = open_bundle("embedded").folder / "encoder.int8.ort.onnx"
    before, after = read_graph(file), read_graph(file)
    to_seven_bits(after)
    compared = 0
    for old, new in zip(before.graph, after.graph):
        if old.op_type == "DequantizeLinear" and old.inputs[0].const_value is not None:
            whole, halved = (node.inputs[0].const_value.numpy().astype(float) for node in (old, new))
            scales = [node.inputs[1].const_value.numpy() for node in (old, new)]
            assert np.abs(halved - whole / 2).max() <= 0.5 and np.array_equal(scales[1], 2 * scales[0])
            assert new.inputs[0].const_value.dtype != ir.DataType.INT8 or np.abs(halved).max() <= 64
            compared += 1
    assert compared >= 13
