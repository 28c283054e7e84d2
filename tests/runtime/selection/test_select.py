"""Which backend serves and why others do not, the self-test, and a second try where there is no picture."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import EXAMPLES, has_gpu, rewrite_manifest
from host_device import HostBackend, HostRecording
from onnx import parser

import edgedrag
from edgedrag.runtime.backends.base import Array, CompiledGraph
from edgedrag.runtime.backends.device.cuda import find_gpu
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.backends.registry import probe
from edgedrag.runtime.bundle.manifest import find_bundle, open_bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import BundleError, EngineError
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.options import BACKENDS, RuntimeOptions
from edgedrag.runtime.selection import select
from edgedrag.runtime.selection import self_test as golden_module
from edgedrag.runtime.selection.self_test import comparison_command, self_test

Cli = Callable[..., CompletedProcess[str]]
DRAGS = [((265, 240), (240, 248))]


without_gpu = pytest.mark.skipif(has_gpu(), reason="there is a GPU here")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the shipped bundle, to be spoilt."""
    return shutil.copytree(find_bundle("embedded"), tmp_path / "bundle")


@without_gpu
def test_the_driver_is_asked_before_any_library_is_touched() -> None:
    with pytest.raises(EngineError, match=r"no NVIDIA driver|finds no GPU") as caught:
        find_gpu()
    assert caught.value.code in ("no-driver", "no-gpu")


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed")
def test_a_gpu_that_a_library_builds_for_and_does_not_run_on() -> None:
    """Seen on an H200: engines for "this-gpu" are built, and refused when they are to run.

    In a process of its own: the library is loaded without a driver.
    """
    script = """
from dataclasses import replace
from edgedrag.export.engines import build
from edgedrag.runtime.backends import registry
from edgedrag.runtime.backends.device.cuda import Gpu
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.errors import EngineError
for module in (registry, build):
    module.find_gpu = lambda: Gpu("NVIDIA H200", "sm_90", "13.0")
finding = registry.probe("tensorrt-rtx")
assert not finding.usable and finding.code == "gpu-unsupported" and "sm_90" in finding.reason, finding
request = build.Request("tensorrt-rtx", (build.THIS_GPU,), "fp16", ((256, 256),))
try:
    build.plan(open_bundle("embedded"), request)
except EngineError as refused:
    assert "does not run on sm_90" in str(refused), refused
else:
    raise AssertionError("it was planned")
assert build.plan(open_bundle("embedded"), replace(request, targets=("sm_89",))), "ahead of time, for others"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@without_gpu
def test_every_step_down_has_a_code_and_a_sentence(runtime: edgedrag.Runtime) -> None:
    assert runtime.backend.name == "cpu"
    assert [step.backend for step in runtime.fallback] == list(BACKENDS[: BACKENDS.index("cpu")])
    for step in runtime.fallback:
        assert isinstance(step.code, Code) and len(step.reason) > 10
        assert step.code == probe(step.backend).code


@without_gpu
def test_doctor_and_every_result_state_the_same_fallback(edit_cli: Cli, tmp_path: Path) -> None:
    args = (EXAMPLES / "chelsea.png", "--drag", "265,240:240,248", "-o", tmp_path / "out.png", "--json")
    done = edit_cli("drag", *args)
    steps = json.loads(done.stdout)["fallback"]
    assert [step["backend"] for step in steps] == ["tensorrt-rtx", "tensorrt", "cuda"]
    assert all(set(step) == {"backend", "code", "reason"} for step in steps)
    engines = {e["name"]: e for e in json.loads(edit_cli("doctor", "--json").stdout)["engines"]}
    for step in steps:
        assert (engines[step["backend"]]["code"], engines[step["backend"]]["reason"]) == (step["code"], step["reason"])
    if importlib.util.find_spec("tensorrt_rtx"):
        assert steps[0]["code"] == "no-driver"
        assert done.stderr.count("not on tensorrt-rtx (no-driver)") == 1


@without_gpu
@pytest.mark.parametrize("backend", ["tensorrt-rtx", "tensorrt", "cuda"])
def test_a_named_backend_never_falls_back(edit_cli: Cli, tmp_path: Path, backend: str) -> None:
    out = tmp_path / "out.png"
    done = edit_cli("drag", EXAMPLES / "chelsea.png", "--drag", "265,240:240,248", "--backend", backend, "-o", out)
    assert done.returncode == 3 and not out.exists()
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_doctor_tests_the_engine_that_it_chose(edit_cli: Cli) -> None:
    test = json.loads(edit_cli("doctor", "--json").stdout)["bundle"]["self_test"]
    assert test["passed"] and test["psnr_db"] >= test["least_db"] >= 25
    assert test["first_ms"] > 0 and test["again_ms"] > 0


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_golden_drag_is_met_in_every_precision(precision: str) -> None:
    opened = open_bundle("embedded")
    found = self_test(opened, Stages(opened, OnnxRuntimeCpu(), precision))
    assert found is not None and found.psnr_db >= found.least_db
    assert found.hold_db is not None and found.hold_db > 60


def test_a_wrong_engine_fails_and_the_graph_is_named(bundle: Path) -> None:
    wrong = HostBackend()
    real = wrong.load

    def load(opened: edgedrag.runtime.bundle.manifest.Bundle, graph, variant, precision):  # type: ignore[no-untyped-def]
        made = real(opened, graph, variant, precision)
        if graph.name == "condition":
            run = made.run
            made.run = lambda inputs: {  # type: ignore[method-assign]
                name: wrong.upload(wrong.download(array)[..., ::-1].copy()) for name, array in run(inputs).items()
            }
        return made

    wrong.load = load  # type: ignore[method-assign]
    opened = open_bundle(bundle)
    with pytest.raises(EngineError, match=r"self-test: the golden drag is at \d+\.\d dB .*'condition' gives") as caught:
        self_test(opened, Stages(opened, wrong, "fp32"))
    assert caught.value.code == "self-test"
    assert "polygraphy run" in str(caught.value) and "condition.onnx" in str(caught.value)


@pytest.mark.parametrize(("name", "fault"), [("hold_answers", 1.0), ("hold_features", 1.0), ("hold_answers", np.nan)])
def test_a_wrong_engine_of_the_hold_fails_and_the_graph_is_named(name: str, fault: float) -> None:
    """As one of other weights would: each tensor's values are in other places."""
    backend = OnnxRuntimeCpu()
    opened = open_bundle("embedded")
    stages = Stages(opened, backend, "fp32")
    for _, graph, compiled in stages.graphs():
        if graph.name == name:
            compiled["single"] = Spoilt(compiled["single"], backend, fault)
    with pytest.raises(EngineError, match=f"self-test: what the hold's graphs answer is at .*'{name}' gives") as caught:
        self_test(opened, stages)
    assert caught.value.code == "self-test" and f"{name}.onnx" in str(caught.value)


class Spoilt:
    """A graph whose outputs are reversed along the rows, times a factor."""

    def __init__(self, graph: CompiledGraph, backend: OnnxRuntimeCpu, factor: float):
        self._graph, self._backend, self._factor = graph, backend, factor

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        made = {name: self._backend.download(array) for name, array in self._graph.run(inputs).items()}
        return {name: self._backend.upload(a[..., ::-1].copy() * np.float32(self._factor)) for name, a in made.items()}


def test_a_bundle_without_the_holds_answers_is_tested_by_its_drag_alone(bundle: Path) -> None:
    with np.load(bundle / "golden.npz") as stored:
        kept = {name: stored[name] for name in stored.files if not name.startswith("hold")}
    np.savez_compressed(bundle / "golden.npz", **kept)
    rewrite_manifest(bundle, lambda m: m["golden"].update(sha256=sha256_of(bundle / "golden.npz")))
    opened = open_bundle(bundle)
    found = self_test(opened, Stages(opened, OnnxRuntimeCpu(), "fp32"))
    assert found is not None and found.hold_db is None


def test_the_command_names_every_input_with_its_shape() -> None:
    opened = open_bundle("embedded")
    stages = Stages(opened, OnnxRuntimeCpu(), "fp32")
    graph = opened.stages["drag"][0]
    command = comparison_command(opened, stages, graph, (256, 192))
    assert "f4:[1,48,64,48]" in command and "flow:[1,2,256,192]" in command and "--strongly-typed" in command


def test_a_golden_file_that_is_none(bundle: Path) -> None:
    (bundle / "golden.npz").write_bytes(b"PK\3\4 nothing")
    rewrite_manifest(bundle, lambda m: m["golden"].update(sha256=sha256_of(bundle / "golden.npz")))
    opened = open_bundle(bundle)
    with pytest.raises(BundleError, match=r"golden.npz: cannot be read"):
        self_test(opened, Stages(opened, OnnxRuntimeCpu(), "fp32"))
    rewrite_manifest(bundle, lambda m: m.pop("golden"))
    opened = open_bundle(bundle)
    assert self_test(opened, Stages(opened, OnnxRuntimeCpu(), "fp32")) is None, "older bundles have none"


def test_numbers_that_are_none_are_no_signal() -> None:
    assert golden_module.snr_db(np.ones(4), np.full(4, np.nan)) == -np.inf


BAD_DECODERS = {
    "values that are not numbers": "made = Div (zero, zero)",
    "a frame of one colour": "made = Identity (zero)",
}


@pytest.mark.parametrize("fault", BAD_DECODERS)
def test_a_result_that_is_no_picture_is_made_again_more_precisely(bundle: Path, cat: np.ndarray, fault: str) -> None:
    body = f"zero = Sub (warped, warped)  {BAD_DECODERS[fault]}  keep = ReduceMean <keepdims = 0> (latent)"
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        bad (float[1, 12, h, w] latent, float[1, 3, H, W] warped) => (float[1, 3, H, W] result)
        {{ {body}  none = Mul (keep, never)  result = Add (made, none) }}"""
    text = text.replace("=> (float[1, 3, H, W] result)", "=> (float[1, 3, H, W] result) <float never = {0.0}>")
    file = bundle / "bad.onnx"
    onnx.save(parser.parse_model(text), file)

    def spoil(manifest: dict) -> None:
        decoder = manifest["stages"]["decode"][0]
        decoder["variants"] = [v for v in decoder["variants"] if (v["precision"], v["placement"]) != ("int8", "ort")]
        decoder["variants"].append(
            {"precision": "int8", "placement": "ort", "file": file.name, "sha256": sha256_of(file)}
        )

    rewrite_manifest(bundle, spoil)
    edit = edgedrag.open(bundle, "cpu", "int8").load(cat).drag(DRAGS)
    assert (edit.backend, edit.precision) == ("cpu", "fp16")
    last = edit.fallback[-1]
    assert (last.backend, last.code, last.reason) == ("cpu", "bad-output", f"{fault} in int8")
    assert np.array_equal(edit.image, edgedrag.open(backend="cpu", precision="fp16").load(cat).drag(DRAGS).image)


def test_a_picture_of_one_colour_may_stay_so(runtime: edgedrag.Runtime) -> None:
    edit = runtime.load(np.full((200, 200, 3), 90, np.uint8)).drag([((100, 100), (110, 100))])
    assert edit.precision == runtime.precision and edit.fallback == runtime.fallback


def test_what_goes_wrong_only_when_it_is_replayed_is_seen_too() -> None:
    backend = HostBackend()
    device, record = backend.host, backend.host.record

    def spoilt(work: Callable[[], None]) -> HostRecording:
        record(work)
        return HostRecording([lambda: [memory.fill(0) for memory in device.memory.values()]])  # type: ignore[list-item]

    device.record = spoilt  # type: ignore[method-assign]
    opened = open_bundle("embedded")
    with pytest.raises(EngineError, match="self-test: the golden drag is at"):
        self_test(opened, Stages(opened, backend, "fp32"))
    assert device.records


def test_graphs_load_in_a_thread_meanwhile_and_what_fails_there_is_raised(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    ready = threading.Event()
    load = OnnxRuntimeCpu.load

    def loaded(self: OnnxRuntimeCpu, *arguments: Any) -> CompiledGraph:
        threads.append(threading.current_thread())
        assert ready.wait(60), "nothing was done meanwhile"
        return load(self, *arguments)

    monkeypatch.setattr(OnnxRuntimeCpu, "load", loaded)
    options = RuntimeOptions(toy, "cpu", "fp32")
    stages = select.select_backend(open_bundle(toy), options, ready.set).stages
    assert threads and threading.current_thread() not in threads
    assert all(compiled for _, _, compiled in stages.graphs())

    monkeypatch.setattr(OnnxRuntimeCpu, "load", lambda *_: (_ for _ in ()).throw(EngineError("out of order")))
    with pytest.raises(EngineError, match="out of order"):
        select.select_backend(open_bundle(toy), options, lambda: None)


def test_an_interruption_while_graphs_load_ends_the_loading(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, goes_on = threading.Event(), threading.Event()
    count = []

    def load(*_: Any) -> None:
        count.append(1)
        began.set()
        goes_on.wait(60)

    def interrupted(self: threading.Thread) -> None:
        assert began.wait(60)
        raise KeyboardInterrupt

    backend = OnnxRuntimeCpu()
    monkeypatch.setattr(backend, "load", load)
    stages = Stages(open_bundle(toy), backend, "fp32", aside=True)
    loader = stages._loader
    assert loader is not None
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "join", interrupted)
        stages.wait()
    goes_on.set()
    loader.join(60)
    assert len(count) == 1 and not loader.is_alive()
