"""Two engines compared layer by layer: what is measured, what is named, and what ONNX Runtime runs meanwhile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from conftest import EXAMPLES, has_gpu, rewrite_manifest

from edgedrag.benchmarks.engines.comparison import layers as layer_comparison
from edgedrag.benchmarks.engines.comparison.drag_inputs import Feed, Place, read_drags, record_inputs
from edgedrag.benchmarks.engines.comparison.layers import GraphDifference, compare_graphs
from edgedrag.benchmarks.engines.comparison.marked_graphs import GraphFile, shared_groups
from edgedrag.benchmarks.engines.comparison.runners import parse_sides, shape_ranges
from edgedrag.calibration.calibrate import apply
from edgedrag.calibration.graphs.layers import find_layers
from edgedrag.calibration.graphs.smoothing import find_folds
from edgedrag.runtime.backends.registry import probe
from edgedrag.runtime.bundle.graphs import Graph
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.selection.self_test import snr_db

pytestmark = pytest.mark.slow

pytest.importorskip("polygraphy", reason="the extra [compare] is not installed")

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
JOBS = EXAMPLES / "coffee.jsonl"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle("embedded")


@pytest.fixture(scope="module")
def inputs(bundle: Bundle) -> dict[Place, list[Feed]]:
    return record_inputs(bundle, read_drags(JOBS))


def graph_of(bundle: Bundle, name: str) -> Graph:
    return next(graph for _, graph in bundle.graphs() if graph.name == name)


def compared(
    bundle: Bundle, inputs: dict[Place, list[Feed]], name: str, backends: tuple[str, str], least_db: float = 20.0
) -> GraphDifference:
    wanted = {place: feeds for place, feeds in inputs.items() if place[0] == name}
    [found] = compare_graphs(bundle, parse_sides(backends, bundle), wanted, least_db)
    return found


def run_file(bundle: Bundle, file: str, feed: Feed) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(bundle.folder / file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed)))


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_outputs_are_those_of_the_bundles_own_files(bundle: Bundle, inputs: dict, precision: str) -> None:
    found = compared(bundle, inputs, "encoder", ("cpu:fp32", f"cpu:{precision}"))
    variant = graph_of(bundle, "encoder").files(precision, "ort")["single"]
    [feed] = inputs["encoder", "single"]
    exact, rounded = run_file(bundle, "encoder.onnx", feed), run_file(bundle, variant.file, feed)
    assert [output.tensor for output in found.outputs] == list(exact)
    for output in found.outputs:
        assert output.snr_db == pytest.approx(snr_db(exact[output.tensor], rounded[output.tensor]), abs=0.1)
        assert output.within == (output.snr_db >= 20)


def test_a_file_beside_itself_is_equal(bundle: Bundle, inputs: dict) -> None:
    found = compared(bundle, inputs, "encoder", ("cpu:fp32", "cpu:fp32"), least_db=200)
    assert found.layers and all(layer.snr_db == layer_comparison.EQUAL_DB for layer in (*found.outputs, *found.layers))


@pytest.mark.parametrize("name", ["encoder", "denoiser"])
def test_reading_inner_tensors_leaves_the_int8_kernels(bundle: Bundle, inputs: dict, tmp_path: Path, name: str) -> None:
    """Giving what lies between a convolution and its QuantizeLinear would run all of them in float."""
    [feed] = inputs[name, "single"]
    sizes = {tensor: values.shape for tensor, values in feed.items()}
    graph = graph_of(bundle, name)
    exact, rounded = (GraphFile(bundle, graph.files(p, "ort")["single"], sizes) for p in ("fp32", "int8"))

    def run(file: Path) -> tuple[Counter[str], list[np.ndarray]]:
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(tmp_path / "optimized.onnx", load_external_data=False)
        outputs = session.run(list(graph.file_outputs.values()), feed)
        return Counter(node.op_type for node in optimized.graph.node), outputs

    with rounded.marked([pair[1] for group in shared_groups(exact, rounded) for pair in group]) as file:
        marked, with_marks = run(file)
    plain, without = run(rounded.path)
    assert plain["QLinearConv"] > 10
    for op in ("QLinearConv", "QLinearAdd", "QLinearLeakyRelu", "Conv"):
        assert marked[op] == plain[op], op
    assert all(np.array_equal(a, b) for a, b in zip(with_marks, without))


def test_a_damaged_layer_is_the_first_that_is_named(bundle: Bundle, inputs: dict, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(bundle.folder, folder)
    file = folder / "encoder.fp16.onnx"
    model = onnx.load(file)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    hurt = convolutions[len(convolutions) // 2]
    cast = next(node for node in model.graph.node if node.output[0] == hurt.input[1])
    weight = next(stored for stored in model.graph.initializer if stored.name == cast.input[0])
    weight.CopyFrom(onnx.numpy_helper.from_array(1.2 * onnx.numpy_helper.to_array(weight), weight.name))
    onnx.save(model, file)  # with its weights inside

    def say_so(manifest: dict) -> None:
        for graph in (graph for stage in manifest["stages"].values() for graph in stage):
            for variant in graph["variants"]:
                if variant["file"] == file.name:
                    variant["sha256"] = sha256_of(file)

    rewrite_manifest(folder, say_so)
    found = compared(open_bundle(folder), inputs, "encoder", ("cpu:fp32", "cpu:fp16"), least_db=40)
    assert next(layer for layer in found.layers if not layer.within).tensor == hurt.output[0]


@pytest.fixture(scope="module")
def smoothed(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle with divisors in the denoiser, each folded into the weight before it."""
    folder = tmp_path_factory.mktemp("smoothed")
    recipe = json.loads(bundle.verified_recipe().read_text())
    model = ir.load(bundle.folder / "denoiser.onnx")
    values = {value.name: value for node in model.graph for value in node.outputs}
    for name, output in find_folds(model, find_layers(model)).items():
        entry = recipe["graphs"]["denoiser"]["inputs"][name]
        channels = values[output].producer().inputs[1].shape[0]
        entry |= {"divisors": [float(2 ** (channel % 3)) for channel in range(channels)], "folded": output}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    apply(bundle.folder, folder / "recipe.json", folder / "bundle")
    return open_bundle(folder / "bundle")


def test_divided_tensors_are_compared_as_they_were(
    smoothed: Bundle, inputs: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smoothed layer's output is stored divided by channel; that is no damage."""
    restored = {layer.tensor: layer for layer in compared(smoothed, inputs, "denoiser", ("cpu", "cpu:int8")).layers}
    divided = layer_comparison.divided_tensors(smoothed, graph_of(smoothed, "denoiser"), "single")
    assert len(divided) >= 8
    monkeypatch.setattr(layer_comparison, "divided_tensors", lambda *_: {})
    stored = {layer.tensor: layer for layer in compared(smoothed, inputs, "denoiser", ("cpu", "cpu:int8")).layers}
    for name, layer in restored.items():
        if name in divided:
            assert layer.snr_db > stored[name].snr_db, name
        else:
            assert layer == stored[name]


def test_a_graph_that_stays_in_fp32_divides_nothing(bundle: Bundle) -> None:
    assert layer_comparison.divided_tensors(bundle, graph_of(bundle, "hold_features"), "single") == {}


def test_the_first_and_last_run_of_each_drag_are_recorded(bundle: Bundle, tmp_path: Path) -> None:
    [job] = read_drags(JOBS)
    recorded = record_inputs(bundle, [replace(job, steps=4), replace(job, steps=1)])
    timesteps = [float(feed["timestep"][0]) for feed in recorded["denoiser", "single"]]
    assert len(timesteps) == 3 and timesteps[0] > timesteps[1] and timesteps[2] == timesteps[0]


def test_the_guidance_pair_is_compared_too(toy: Path) -> None:
    bundle = open_bundle(toy)
    recorded = record_inputs(bundle, [])
    found = {
        (g.graph, g.branch): g for g in compare_graphs(bundle, parse_sides(["cpu", "cpu"], bundle), recorded, 60.0)
    }
    pair = found["unet", "pair"]
    assert pair.runs == 2 and pair.layers and [output.tensor for output in pair.outputs] == ["latent_next"]


def test_a_graph_that_does_not_run_says_so(bundle: Bundle, inputs: dict) -> None:
    [feed] = inputs["decoder", "single"]
    hurt = {("decoder", "single"): [{name: values[:, :1] for name, values in feed.items()}]}
    with pytest.raises(EdgedragError, match="does not run"):
        compared(bundle, hurt, "decoder", ("cpu:fp32", "cpu:fp16"))


def test_an_engine_is_built_for_all_recorded_shapes() -> None:
    feeds = [{"points": np.zeros((1, n, 4)), "scale": np.zeros(())} for n in (2, 1, 5)]
    assert shape_ranges(feeds) == {"points": ((1, 1, 4), (1, 2, 4), (1, 5, 4)), "scale": ((), (), ())}


def test_tensorrt_rtx_builds_the_marked_graph(bundle: Bundle, inputs: dict) -> None:
    """Ahead of time, which takes no GPU; running it does."""
    pytest.importorskip("tensorrt_rtx", reason="the extra [rtx] is not installed")
    from edgedrag.export.engines.builder import build_file

    feeds = inputs["decoder", "single"]
    sizes = {tensor: values.shape for tensor, values in feeds[0].items()}
    graph = graph_of(bundle, "decoder")
    exact = GraphFile(bundle, graph.files("fp32", "ort")["single"], sizes)
    placed = GraphFile(bundle, graph.files("int8", "tensorrt")["single"], sizes)
    [group] = shared_groups(exact, placed)
    with placed.marked([second for _, second in group]) as file:
        assert build_file(file, shape_ranges(feeds), "sm_86").plan


def test_command(edit_cli: Cli) -> None:
    done = edit_cli(
        "engines", "compare", "embedded", "--graph", "encoder", "--drag", JOBS, "--json", "--tolerance", "60"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["reference"], report["compared"]) == ("cpu:fp32", "cpu:int8")
    assert [graph["graph"] for graph in report["graphs"]] == ["encoder"] and report["processor"]
    layers = report["graphs"][0]["layers"]
    first = next(layer for layer in layers if not layer["within"])
    assert report["first_beyond"] == {"graph": "encoder", **first}
    half = edit_cli("engines", "compare", "--graph", "encoder", "--backend", "cpu:fp32", "--backend", "cpu:fp16")
    assert half.returncode == 0, half.stderr
    assert "no layer beyond 40 dB" in half.stdout and "equal" not in half.stdout


BAD = {
    "one backend": (["--backend", "cpu"], 2, "twice"),
    "no such backend": (["--backend", "cpu", "--backend", "abacus"], 2, "'abacus' is not one of cpu, cuda"),
    "no runner": (["--backend", "cpu", "--backend", "openvino"], 2, "'openvino' is not one of"),
    "no such precision": (["--backend", "cpu", "--backend", "cpu:int4"], 2, "'int4' is not one of"),
    "two TensorRTs": (["--backend", "tensorrt", "--backend", "tensorrt-rtx"], 2, "cannot load in one process"),
    "no such graph": (["--graph", "unet"], 2, "encoder, condition, denoiser, decoder, hold_features, hold_answers"),
    "no such list": (["--drag", "none.jsonl"], 2, "none.jsonl"),
    "a bad job": (["--drag", "{tmp}/bad.jsonl"], 2, "none.png"),
    "no drags": (["--drag", "{tmp}/empty.jsonl"], 2, "no drags"),
    "tolerance": (["--tolerance", "-1"], 2, "--tolerance"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_one_sentence(edit_cli: Cli, tmp_path: Path, case: str) -> None:
    arguments, code, words = BAD[case]
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bad.jsonl").write_text('{"name": "a", "image": "none.png", "drags": [[[1, 1], [2, 2]]]}')
    done = edit_cli("engines", "compare", *(a.replace("{tmp}", str(tmp_path)) for a in arguments), cwd=tmp_path)
    assert done.returncode == code and words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "empty.jsonl"]


@pytest.mark.parametrize("backend", ["cuda", "tensorrt", "tensorrt-rtx"])
def test_a_backend_that_is_not_here_is_exit_code_3(edit_cli: Cli, backend: str) -> None:
    if has_gpu():
        pytest.skip("a GPU is here")
    done = edit_cli("engines", "compare", "--backend", "cpu", "--backend", backend)
    assert done.returncode == 3 and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_a_precision_that_the_bundle_lacks_is_exit_code_3(edit_cli: Cli, toy: Path) -> None:
    done = edit_cli("engines", "compare", toy, "--backend", "cpu", "--backend", "cpu:int8")
    assert done.returncode == 3 and "it has: fp32" in done.stderr


def test_without_the_extra_the_install_line_is_printed() -> None:
    hidden = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'polygraphy' else find(name, *rest)\n"
        "sys.argv = ['edgedrag', 'engines', 'compare']\n"
        "from edgedrag.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, timeout=300)
    assert done.returncode == 3 and re.search(r'pip install "\S*\[compare\]"', done.stderr)
    assert len(done.stderr.splitlines()) == 1 and not done.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["cuda:fp32", "cuda:fp16", "tensorrt:fp32", "tensorrt:int8", "tensorrt-rtx:fp16"])
def test_gpu_runners(edit_cli: Cli, backend: str) -> None:
    finding = probe(backend.split(":")[0])
    if not finding.usable:
        pytest.skip(finding.reason)
    done = edit_cli("engines", "compare", "--backend", "cpu", "--backend", backend, "--drag", JOBS, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    outputs = {o["tensor"]: o["snr_db"] for graph in report["graphs"] for o in graph["outputs"]}
    assert outputs["result"] > (20 if "int8" in backend else 40)
