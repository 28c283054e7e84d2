"""Graphs of bundles whose files have several hard links, as some package installers make them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from edgedrag.export import graph_file
from edgedrag.export.graph_file import read_graph, share_data
from edgedrag.runtime.bundle.manifest import open_bundle


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """The shipped encoder in fp16, its data with two links."""
    bundle = open_bundle("embedded").folder
    for name in ("encoder.fp16.onnx", "encoder.fp16.data"):
        (tmp_path / name).write_bytes((bundle / name).read_bytes())
    os.link(tmp_path / "encoder.fp16.data", tmp_path / "second name")
    return tmp_path / "encoder.fp16.onnx"


def test_weights_with_several_links_are_read_and_saved(linked: Path) -> None:
    (alone := linked.parent / "alone").mkdir()  # the shipped file may have several links, of a bundle that shares it
    for name in (linked.name, "encoder.fp16.data"):
        (alone / name).write_bytes((linked.parent / name).read_bytes())
    expected = ir.load(alone / linked.name).graph.initializers
    model = read_graph(linked)
    assert expected.keys() == model.graph.initializers.keys()
    for name, value in model.graph.initializers.items():
        assert np.array_equal(value.const_value.numpy(), expected[name].const_value.numpy())
    ir.save(model, linked.with_name("changed.onnx"))
    ort.InferenceSession(str(linked.with_name("changed.onnx")), providers=["CPUExecutionProvider"])


def test_small_data_is_copied_and_large_data_linked(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = linked.with_name("second name")
    (copies := linked.parent / "copies").mkdir()
    (links := linked.parent / "links").mkdir()
    share_data(file, copies)
    assert file.stat().st_nlink == 2 and (copies / file.name).read_bytes() == file.read_bytes()
    monkeypatch.setattr(graph_file, "LARGE", 0)
    share_data(file, links)
    assert file.stat().st_nlink == 3
