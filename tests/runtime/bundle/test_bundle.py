"""Bundles that are damaged, hostile, or from another time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import rewrite_manifest

import edgedrag
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle import validation
from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.bundle.manifest import MAX_MANIFEST_BYTES, open_bundle
from edgedrag.runtime.drag.stages import choose_precision
from edgedrag.runtime.errors import BundleError


def test_toy_bundle_opens(toy: Path) -> None:
    bundle = open_bundle(toy)
    assert [g.name for g in bundle.stages["drag"]] == ["masked_encode", "points", "start"]
    assert set(bundle.outputs_of("denoise")) == {"latent"}
    assert not bundle.gives_flow


def test_shipped_bundle_is_small_and_complete() -> None:
    bundle = open_bundle("embedded")
    assert bundle.gives_flow
    assert all(bundle.stages[s] for s in DRAG_STAGES)
    parameters = sum(g.cost["parameters"] for _, g in bundle.graphs())
    assert 1e6 < parameters <= 12e6
    assert sum(f.stat().st_size for f in bundle.folder.iterdir()) <= 60e6
    for _, graph in bundle.graphs():
        for variant in graph.variants:
            bundle.verified_file(variant)


def first(manifest: dict, stage: str) -> dict:
    return manifest["stages"][stage][0]


ATTACKS: dict[str, tuple[Callable[[dict], object], str]] = {
    "newer version": (lambda m: m.update(format_version=3), "upgrade"),
    "older version": (lambda m: m.update(format_version=1), "edgedrag bundle export CHECKPOINT -o "),
    "hold without its entry": (lambda m: m["stages"].update(hold=m["stages"]["decode"]), "go together"),
    "hold without its stage": (lambda m: m.update(hold={"sizes": [[[64, 64]]], "level": 0.5}), "go together"),
    "version of another type": (lambda m: m.update(format_version="2"), "format_version"),
    "another format": (lambda m: m.update(format="tar"), "not the manifest"),
    "unknown key": (lambda m: m.update(surprise=1), "surprise"),
    "missing stage": (lambda m: m["stages"].pop("decode"), "decode"),
    "path up": (lambda m: first(m, "reference")["variants"][0].update(file="../secret.onnx"), "file"),
    "absolute path": (lambda m: first(m, "reference")["variants"][0].update(file="/etc/passwd"), "file"),
    "external path up": (
        lambda m: first(m, "denoise")["variants"][0]["external"][0].update(file="../data"),
        "file",
    ),
    "absurd size": (lambda m: first(m, "decode")["outputs"][0].update(shape=[1, 3, 65536, 65537]), "shape|maximum"),
    "absurd product": (
        lambda m: first(m, "reference")["outputs"][0].update(shape=[65536, 65536, 65536]),
        "absurd shape",
    ),
    "negative size": (lambda m: first(m, "decode")["outputs"][0].update(shape=[1, -3, "H", "W"]), "shape"),
    "unknown symbol": (lambda m: first(m, "decode")["outputs"][0].update(shape=[1, 3, "Q", "W"]), "shape"),
    "size that does not divide": (lambda m: m["symbols"]["H"].update(multiple=2), "not a whole size"),
    "input that nothing makes": (
        lambda m: first(m, "reference")["inputs"][0].update(name="secret"),
        "nothing supplies",
    ),
    "input too early": (lambda m: first(m, "reference")["inputs"][0].update(name="mask"), "nothing supplies"),
    "clip image without its options": (lambda m: m["inputs"].pop("clip_image"), "clip_image"),
    "joint of two shapes": (lambda m: first(m, "denoise")["inputs"][0].update(shape=[1, 3, "H", "W"]), "changes shape"),
    "loop without a start": (lambda m: first(m, "denoise")["outputs"][0].update(name="other"), "no value before"),
    "no result": (lambda m: first(m, "decode")["outputs"][0].update(name="picture"), "result"),
    "rising timesteps": (lambda m: m["sampler"].update(timesteps=[1, 5]), "must fall"),
    "timesteps beyond the table": (lambda m: m["sampler"].update(timesteps=[5000, 5]), "must fall"),
    "no timesteps": (lambda m: m["sampler"].pop("timesteps"), "one of timesteps and spacing"),
    "timesteps and spacing": (lambda m: m["sampler"].update(spacing="leading"), "one of timesteps and spacing"),
    "an unknown spacing": (lambda m: m["sampler"].update(spacing="dense"), "spacing"),
    "a start beyond the table": (lambda m: m["sampler"].update(start_timestep=5000), "start_timestep"),
    "an unknown fit": (lambda m: m["inputs"]["clip_image"].update(fit="pad"), "fit"),
    "too many default steps": (lambda m: m["sampler"].update(default_steps=900), "default_steps"),
    "unknown prediction": (lambda m: m["sampler"].update(prediction="magic"), "prediction"),
    "window out of bounds": (lambda m: m["window"].update(sizes=[[128, 2048]]), "breaks the bounds"),
    "alpha of zero": (lambda m: m["sampler"]["alphas"].__setitem__(3, 0), "alphas"),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_manifests_that_are_refused(toy: Path, attack: str) -> None:
    change, words = ATTACKS[attack]
    rewrite_manifest(toy, change)
    with pytest.raises(BundleError, match=words):
        open_bundle(toy)


def test_a_valid_manifest_is_remembered_and_a_changed_one_is_not_taken_for_it(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDRAG_CACHE", str(tmp_path / "cache"))
    opened = open_bundle(toy).manifest
    with monkeypatch.context() as patch:
        patch.setattr(validation, "_fault", lambda manifest: pytest.fail("it was valid before"))
        assert open_bundle(toy).manifest == opened
    rewrite_manifest(toy, lambda m: m.update(symbols=7))
    for _ in range(2):
        with pytest.raises(edgedrag.BundleError, match="symbols must be object"):
            open_bundle(toy)
    assert len(list((tmp_path / "cache" / "manifests").iterdir())) == 1


def test_flipped_byte_in_any_file(toy: Path) -> None:
    for name in ("clip.onnx", "denoise_pair.onnx", "denoise.onnx.data"):
        data = bytearray((toy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (toy / name).write_bytes(bytes(data))
        with pytest.raises(BundleError, match=f"{name}: damaged"):
            edgedrag.open(toy)
        data[len(data) // 2] ^= 1
        (toy / name).write_bytes(bytes(data))
    edgedrag.open(toy)


def test_missing_file_and_link_out_of_the_folder(toy: Path, tmp_path: Path) -> None:
    graph = toy / "clip.onnx"
    shutil.move(graph, tmp_path / "outside.onnx")
    with pytest.raises(BundleError, match=r"clip\.onnx: .*missing"):
        edgedrag.open(toy)
    os.symlink(tmp_path / "outside.onnx", graph)
    with pytest.raises(BundleError, match="missing"):
        edgedrag.open(toy)


def test_graph_with_other_inputs_than_the_manifest_says(toy: Path) -> None:
    def swap(manifest: dict) -> None:
        graphs = manifest["stages"]["reference"]
        graphs[0]["variants"], graphs[1]["variants"] = graphs[1]["variants"], graphs[0]["variants"]

    rewrite_manifest(toy, swap)
    with pytest.raises(BundleError, match="not those that the manifest names"):
        edgedrag.open(toy)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not the manifest"),
        ('{"format": "edgedrag-bundle", "x": "' + "a" * MAX_MANIFEST_BYTES + '"}', "larger than"),
        ('{"format": "edgedrag-bundle"}', "format_version"),
    ],
)
def test_manifest_files_that_are_none(toy: Path, text: str, words: str) -> None:
    (toy / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=words):
        open_bundle(toy)


def test_bundles_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="embedded"):
        open_bundle("no-such-bundle")
    with pytest.raises(BundleError, match="no such bundle"):
        open_bundle("../runtime/bundles/embedded/..")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(tmp_path)


def test_every_example_of_the_schema_is_json() -> None:
    schema = Path(edgedrag.runtime.bundle.manifest.__file__).with_name("bundle.schema.json")
    assert json.loads(schema.read_text())["properties"]["format_version"] == {"enum": [2]}


def test_auto_takes_int8_and_any_precision_can_be_asked_for() -> None:
    backend = OnnxRuntimeCpu()
    bundle = open_bundle("embedded")
    assert choose_precision(bundle, backend) == "int8"
    for precision in ("int8", "fp32"):
        assert choose_precision(bundle, backend, precision) == precision
