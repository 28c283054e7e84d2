"""The hold's graphs in a bundle: taken from another bundle, in every precision; exported, see test_finetune.py."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from toy_hold import add_toy_hold

from edgedrag.calibration.writer import in_every_precision
from edgedrag.export.costs import PRIME, unpadded
from edgedrag.export.hold import SIZES, write_hold
from edgedrag.runtime.bundle.graphs import HOLD
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import InputError


def entry_of(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "bundle.json").read_text())


def test_the_sizes_are_whole_for_both_graphs_and_rise() -> None:
    for sizes in SIZES:
        assert all(h % 32 == 0 and w % 32 == 0 for h, w in sizes)
        assert [h * w for h, w in sizes] == sorted(h * w for h, w in sizes)
    assert {tuple(map(tuple, sizes)) for sizes in SIZES} == {tuple((w, h) for h, w in sizes) for sizes in SIZES}


def test_a_bundle_s_hold_is_taken_as_it_is(toy: Path, tmp_path: Path) -> None:
    bundle = add_toy_hold(toy)
    stages: dict[str, list[dict[str, Any]]] = {}
    (tmp_path / "other").mkdir()
    entry = write_hold(bundle, tmp_path / "other", stages, [])
    manifest = entry_of(bundle)
    assert entry == {"hold": manifest["hold"]} and stages["hold"] == manifest["stages"]["hold"]
    for name in ("hold_features.onnx", "hold_answers.onnx"):
        assert (tmp_path / "other" / name).read_bytes() == (bundle / name).read_bytes()


def test_a_bundle_without_a_hold_and_what_is_no_checkpoint_are_input_errors(toy: Path) -> None:
    for source in (toy, toy / "clip.onnx", toy / "absent"):
        with pytest.raises(InputError):
            write_hold(source, toy, {}, [])


def test_padded_sides_count_as_the_picture_s() -> None:
    assert [unpadded(4 * PRIME + pad) for pad in range(4)] == [4 * PRIME] * 4
    assert unpadded(7) == 7 and unpadded(4 * PRIME + 8) == 4 * PRIME + 8


def holds_in(bundle: Bundle, precision: str, placement: str) -> list[str]:
    return [g.files(precision, placement)["single"].file for _, g in bundle.graphs((HOLD,))]


def test_every_precision_runs_the_same_files(toy: Path) -> None:
    bundle = add_toy_hold(toy)
    manifest = entry_of(bundle)
    for graph in manifest["stages"]["hold"]:
        graph["variants"] += in_every_precision(graph["variants"])
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    opened = open_bundle(bundle)
    for precision, placement in (("fp32", "ort"), ("fp16", "tensorrt"), ("int8", "ort"), ("int8", "tensorrt")):
        assert holds_in(opened, precision, placement) == ["hold_features.onnx", "hold_answers.onnx"]


def test_the_tool_replaces_a_hold_and_nothing_else(toy: Path, tmp_path: Path) -> None:
    tool = runpy.run_path(str(REPOSITORY / "tools" / "add_hold.py"))
    source = add_toy_hold(Path(shutil.copytree(toy, tmp_path / "source")))
    before = {file.name: file.read_bytes() for file in toy.iterdir()}
    for _ in range(2):
        tool["add_hold"](toy, source)
    after = {file.name: file.read_bytes() for file in toy.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {
        "bundle.json",
        "hold_features.onnx",
        "hold_answers.onnx",
    }
    assert entry_of(toy) == entry_of(source)
