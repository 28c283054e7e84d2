"""LightningDrag from a checkpoint folder to a bundle that drags: tiny, with random weights."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
import torch
from conftest import EXAMPLES
from published_checkpoint import write_checkpoint, write_lora, write_small_decoder
from torch_backend import TorchBackend

import edgedrag
from edgedrag.calibration.calibrate import Request as CalibrationRequest
from edgedrag.calibration.calibrate import calibrate
from edgedrag.calibration.graphs.layers import find_layers
from edgedrag.calibration.runs import inner, workbench
from edgedrag.calibration.runs.damage import Trial
from edgedrag.calibration.runs.drags import read_drags
from edgedrag.calibration.runs.record import record
from edgedrag.calibration.search import Budget
from edgedrag.export import capacity
from edgedrag.export.checkpoints import export_random
from edgedrag.export.engines.build import Request as BuildRequest
from edgedrag.export.engines.build import build_engines
from edgedrag.export.engines.builder import build_file
from edgedrag.export.half import fits, halve, watch
from edgedrag.export.lightningdrag import bundle as lightningdrag
from edgedrag.export.parity import snr_db
from edgedrag.generator.networks.lightningdrag.published import PublishedWeights
from edgedrag.generator.networks.lightningdrag.sizes import FULL, TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights, Weights
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.backends.tensorrt.cache import profile
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.sampling.sampler import make_table
from edgedrag.runtime.system.memory import Memory

pytestmark = pytest.mark.slow

Cli = Callable[..., CompletedProcess[str]]
TARGETS = ("sm_86", "sm_89")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint folder and the folder of an LCM-LoRA."""
    folder = tmp_path_factory.mktemp("weights")
    lora = folder / "lcm-lora"
    lora.mkdir()
    layers = ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q",)
    write_lora(lora / "pytorch_lora_weights.safetensors", layers)
    return write_checkpoint(folder / "checkpoint", seed=3), lora


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, published: tuple[Path, Path], edit_cli: Cli) -> dict[str, Path]:
    """Two bundles through the command line, by precision; each keeps one core busy for minutes, so side by side."""
    folder = tmp_path_factory.mktemp("bundles")
    arguments = {"fp16": (published[0], "--lora", published[1]), "fp32": ("--random-weights", "5", "--size", "tiny")}
    with ThreadPoolExecutor() as pool:
        running = {
            precision: pool.submit(
                edit_cli, "bundle", "export", *given, "--precision", precision, "-o", folder / precision
            )
            for precision, given in arguments.items()
        }
    for done in running.values():
        assert done.result().returncode == 0, done.result().stderr
    return {precision: folder / precision for precision in arguments}


@pytest.fixture(scope="module")
def fp16(exported: dict[str, Path]) -> Path:
    """The bundle in fp16 of the folder with the LoRA."""
    return exported["fp16"]


@pytest.fixture(scope="module")
def fp32(exported: dict[str, Path]) -> Path:
    """The bundle in fp32 of random weights."""
    return exported["fp32"]


def whole_drag(bundle: Bundle, stages: Stages, steps: int = 4) -> np.ndarray:
    """The generator's picture of a drag, [256, 320, 3] in 0..1."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (8, 10, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    mask = np.zeros((256, 320), bool)
    mask[60:200, 80:250] = True
    points = np.array([[120.0, 100, 150, 110], [200, 150, 190, 170]])
    run = DragRun(bundle, stages, picture, mask, points)
    table = make_table(bundle.sampler, steps)
    run.reference()
    run.start(table, seed=1)
    for step in range(steps):
        run.denoise(table, step)
    result = run.decode().result
    assert result is not None
    return result


def check_against_pytorch(folder: Path, weights: Weights, precision: str, least: float) -> None:
    bundle = open_bundle(folder)
    parity = {p["graph"]: p["snr_db"] for p in bundle.manifest["provenance"]["parity"]}
    assert len(parity) == 9 and min(parity.values()) >= least
    found = whole_drag(bundle, Stages(bundle, OnnxRuntimeCpu(), precision))
    expected = whole_drag(bundle, Stages(bundle, TorchBackend(weights), precision))
    whole = snr_db(expected, found)
    print(f"SNR against PyTorch, dB: {parity}, a whole drag {whole:.1f}")  # for `-rP`
    assert whole >= least


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_denoisers_have_a_form_for_the_cuda_provider(exported: dict[str, Path], precision: str) -> None:
    bundle = open_bundle(exported[precision])
    fused = {v.file: (g, v) for _, g in bundle.graphs() for v in g.variants if v.placement == "cuda"}
    denoisers = {"appearance.cuda.onnx", "unet.cuda.onnx", "unet_pair.cuda.onnx"}
    assert set(fused) == {*denoisers, "vae_decode.cuda.onnx"}
    for graph, variant in (fused[name] for name in sorted(denoisers)):
        plain = graph.files(precision, "ort")[variant.branch]
        assert variant.external == plain.external, "the weights are shared"
        new, old = (
            Counter(node.op_type for node in onnx.load(bundle.verified_file(v), load_external_data=False).graph.node)
            for v in (variant, plain)
        )
        assert (new["MultiHeadAttention"], new["GroupNorm"]) == (old["Softmax"], old["InstanceNormalization"])
        assert not new["Softmax"] + new["InstanceNormalization"] and new["GroupNorm"] > 10


def test_a_whole_drag_equals_pytorch_in_fp32(fp32: Path) -> None:
    check_against_pytorch(fp32, RandomWeights(TINY, 5), "fp32", 80)


def test_a_whole_drag_equals_pytorch_in_fp16(fp16: Path, published: tuple[Path, Path]) -> None:
    """With the LoRA fused by the loader, which PyTorch does here too."""
    check_against_pytorch(fp16, PublishedWeights(*published), "fp16", 35)
    assert json.loads((fp16 / "bundle.json").read_text())["sampler"]["method"] == "lcm"


@pytest.mark.fullsize
def test_a_whole_drag_equals_pytorch_at_full_size(tmp_path: Path) -> None:
    """`-m fullsize`; needs 24 GB of memory, 10 GB of disk and half an hour."""
    export_random(0, "full", tmp_path / "bundle")
    check_against_pytorch(tmp_path / "bundle", RandomWeights(FULL, 0), "fp32", 80)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_command_that_drags_takes_any_bundle(
    request: pytest.FixtureRequest, precision: str, edit_cli: Cli, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(2).integers(0, 255, (280, 330, 3), dtype=np.uint8)
    edgedrag.save_picture(photo, edgedrag.Picture(pixels))
    bundle, out, drawn = request.getfixturevalue(precision), tmp_path / "out.png", tmp_path / "mask.png"
    drag = ("--drag", "150,140:180,150", "--steps", "2", "--bundle", bundle)
    done = edit_cli("drag", photo, *drag, "-o", out, "--mask-out", drawn, "--json")
    assert done.returncode == 0, done.stderr
    outside = edgedrag.load_picture(drawn).pixels.reshape(280, 330) == 0
    edit = edgedrag.load_picture(out).pixels
    assert np.array_equal(edit[outside], pixels[outside]) and not np.array_equal(edit, pixels)


def test_what_a_second_drag_does_not_run_again(fp32: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = edgedrag.open(fp32)
    ran: list[str] = []
    for _, graph, compiled in runtime.stages.graphs():
        for branch in compiled.values():

            def noted(tensors: dict, name: str = graph.name, run: Callable = branch.run) -> dict:
                ran.append(name)
                return run(tensors)

            monkeypatch.setattr(branch, "run", noted)
    photo = runtime.load(np.random.default_rng(2).integers(0, 255, (256, 256, 3), dtype=np.uint8))
    mask = np.zeros((256, 256), np.uint8)
    mask[60:200, 60:200] = 255
    photo.drag([((100, 100), (120, 110))], mask=mask, steps=1)
    assert {"vae_encode", "clip", "appearance", "masked_encode", "points"} <= set(ran)
    photo.undo()
    ran.clear()
    photo.drag([((110, 120), (120, 110))], mask=mask, steps=1)
    assert set(ran) == {"points", "start", "unet", "vae_decode"}, "the same photo and mask: only the points are new"
    photo.undo()
    ran.clear()
    mask[40:60, 100] = 255
    photo.drag([((110, 120), (120, 110))], mask=mask, steps=1)
    assert "masked_encode" in ran and "appearance" not in ran


def test_a_small_decoder_takes_the_decoders_place(fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = write_small_decoder(tmp_path / "taesd.safetensors")
    monkeypatch.setattr(lightningdrag, "GRAPHS", lightningdrag.GRAPHS[-1:])  # the rest is as without it
    only = lightningdrag.with_decoder(decoder)
    assert [g.name for g in only] == ["small_decode"]
    module = only[0].branches[0].build(RandomWeights(TINY, 0))
    picture = module(torch.zeros(1, 4, 32, 40))
    assert picture.shape == (1, 3, 256, 320) and float(picture.detach().abs().max()) <= 1
    with pytest.raises(InputError, match="taesd"):
        decoder.write_bytes(decoder.read_bytes()[:1000])
        lightningdrag.with_decoder(decoder)


def calibration_of(drags: Path) -> CalibrationRequest:
    """On one drag, which is written to the file `drags`; one layer of the UNet is tried alone."""
    job = {"name": "cat", "image": str(EXAMPLES / "chelsea.png"), "drags": [[[265, 240], [240, 248]]]}
    drags.write_text(json.dumps(job) + "\n")
    return CalibrationRequest(drags, Budget(20.0, 1.0), (1,), 0, 1, r"unet/.*unet\.conv_in$", 100.0)


@pytest.fixture(scope="module")
def int8(fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The same in INT8, and its recipe."""
    folder = tmp_path_factory.mktemp("int8")
    return folder / "int8", calibrate(fp32, calibration_of(folder / "jobs.jsonl"), folder / "int8")


def test_int8_of_both_guidance_branches(fp32: Path, int8: tuple[Path, dict]) -> None:
    folder, recipe = int8
    layers = recipe["graphs"]["unet"]["layers"]
    assert len(layers) > 250 and all(layer["precision"] == "int8" for layer in layers)
    assert sum(layer["alone"] is not None for layer in layers) == 1, "the others were not tried"
    bundle = open_bundle(folder)
    unet = next(graph for _, graph in bundle.graphs() if graph.name == "unet")
    files = {(v.placement, v.branch): v for v in unet.variants if v.precision == "int8"}
    assert set(files) == {(p, b) for p in ("ort", "tensorrt") for b in ("single", "pair")}
    assert len({variant.external for variant in files.values()}) == 1, "one file of weights for all"
    weights = sum((bundle.folder / name).stat().st_size for name, _ in files["ort", "pair"].external)
    assert weights < 0.35 * (fp32 / "unet.data").stat().st_size
    # One step is guided, so the pair runs; its INT8 must be as near to fp32 as what was measured.
    assert recipe["figures"]["chosen"]["psnr_db"] > 30
    photos = [edgedrag.open(bundle.folder, precision=p).load(EXAMPLES / "chelsea.png") for p in ("int8", "fp32")]
    edits = [photo.drag([((265, 240), (240, 248))], steps=1) for photo in photos]
    assert psnr_in_mask(edits[0].image, edits[1].image, edits[1].mask) > 30


def test_large_graphs_are_in_memory_one_at_a_time(fp32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[ort.InferenceSession]] = []

    class Watched(ort.InferenceSession):
        def __init__(self, *arguments: Any, **options: Any):
            assert all(session() is None for session in made), "another graph is in memory still"
            super().__init__(*arguments, **options)
            made.append(weakref.ref(self))

    monkeypatch.setattr(ort, "InferenceSession", Watched)
    monkeypatch.setattr(workbench, "LARGE", 0)
    monkeypatch.setattr(inner, "GROUP", 2**22)  # not all tensors of the pair come in one run
    drags = read_drags(calibration_of(tmp_path / "jobs.jsonl").drags, (1,), 0, 100.0)
    bench = workbench.Workbench(open_bundle(fp32), tmp_path)
    layers = {name: find_layers(bench.model(name)) if name == "unet" else () for name in bench.graphs}
    record(bench, layers, dict.fromkeys(layers, ()), drags.drags, tmp_path / "state.npz")
    recorded = len(made)
    assert recorded > len(bench.slots), "the pair's tensors came in groups"
    unchanged = {place: bench.compile("unet", bench.model(*place)) for place in bench.slots if place[0] == "unet"}
    damage = Trial(bench, drags.drags, STLPIPS()).measure(unchanged)
    assert damage.psnr_db > 60 and len(made) > recorded


def test_costs_are_printed_without_pytorch(fp32: Path, edit_cli: Cli) -> None:
    done = edit_cli("info", fp32, "--cost")
    assert done.returncode == 0, done.stderr
    for word in ("vae_encode", "unet, guidance pair", "small decoder", "as published", "GFLOP"):
        assert word in done.stdout, done.stdout
    assert "torch" not in done.stderr


def test_too_little_room_is_said_in_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "read_memory", lambda: Memory(10**10, 500_000_000, 10**10, 0))
    with pytest.raises(InputError, match=r"too little memory: the export needs 3\.\d GB, 0\.5 GB are free"):
        export_random(0, "tiny", tmp_path / "bundle")
    monkeypatch.setattr(capacity, "read_memory", lambda: None)
    monkeypatch.setattr(capacity.shutil, "disk_usage", lambda _: SimpleNamespace(total=10, used=9, free=1))
    with pytest.raises(InputError, match=r"too little disk space: the bundle needs 0\.1 GB, 0\.0 GB are free"):
        export_random(0, "tiny", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_layers_that_fp16_cannot_hold_are_left_in_fp32() -> None:
    assert fits((1.0, 100.0)) and not fits((1.0, 40_000.0)), "other photos reach further"
    assert not fits((1e-6, 1.0)) and not fits((1.0, float("nan"))) and not fits((1.0, float("inf")))
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    for layer, weight in zip(module, (1.0, 30_000.0)):
        torch.nn.init.constant_(layer.weight, weight)
        torch.nn.init.zeros_(layer.bias)
    peaks: dict = {}
    given = torch.ones(1, 4)
    with watch(module, peaks), torch.no_grad():
        expected = module(given)
    assert halve(module, peaks) == ["1"]
    assert module[0].weight.dtype == torch.float16 and module[1].weight.dtype == torch.float32
    with torch.no_grad():
        found = module(given.half()).float()
    assert torch.isfinite(found).all() and snr_db(expected.numpy(), found.numpy()) > 50


# Ahead of time, for GPUs that are not here.


def graph_names() -> list[str]:
    return [spec.file_name(b) for spec in lightningdrag.GRAPHS for b in spec.branches if spec.name != "masked_encode"]


@pytest.mark.parametrize("file", graph_names())
def test_tensorrt_rtx_builds_every_graph(fp16: Path, file: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
    bundle = open_bundle(fp16)
    graph, variant = next((g, v) for _, g in bundle.graphs() for v in g.variants if v.file == file)
    weights = sum((fp16 / name).stat().st_size for name, _ in variant.external)
    for target in TARGETS:
        engine = build_file(bundle.verified_file(variant), profile(bundle, graph, (256, 320)), target)
        assert len(engine.plan) > engine.facts.weight_bytes
        if variant.external:
            assert 0.2 * weights < engine.facts.weight_bytes <= 1.5 * weights, "fp16 stays fp16"
            assert 0 < engine.facts.activation_bytes < 1 << 28


def test_tensorrt_rtx_builds_every_graph_in_int8(int8: tuple[Path, dict], tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
    bundle = open_bundle(int8[0])
    request = BuildRequest("tensorrt-rtx", ("sm_86",), "int8", ((256, 256),))
    rows = {(row["graph"], row["branch"]): row for row in build_engines(bundle, request, tmp_path)}
    assert len(rows) == 9
    unet, kept = rows["unet", "single"], sum((int8[0] / name).stat().st_size for name in ("unet.int8.data",))
    assert unet["int8_layers"] > 150 and rows["unet", "pair"]["int8_layers"] > 150
    assert 0.5 * kept < unet["weight_bytes"] < 1.5 * kept, "INT8 stays INT8"
    assert all(row["activation_bytes"] < 1 << 28 for row in rows.values())


WEIGHT = "{1, 1, 1, 1, 1, 1, 1, 1, 1}"
REFUSED = {
    "ConvInteger": f"""(uint8[1, 1, 8, 8] x) => (int32[1, 1, 6, 6] y) <uint8[1, 1, 3, 3] w = {WEIGHT}> {{
        y = ConvInteger (x, w) }}""",
    "QLinearConv": f"""(int8[1, 1, 8, 8] x) => (int8[1, 1, 6, 6] y)
        <int8[1, 1, 3, 3] w = {WEIGHT}, float s = {{0.1}}, int8 z = {{0}}> {{
        y = QLinearConv (x, s, z, w, s, z, s, z) }}""",
    "Unique": "(float[8] x) => (float[n] y) { y = Unique (x) }",
    "Thing": "(float[8] x) => (float[8] y) { y = own.Thing (x) }",  # a custom operator
    "DeformConv": f"""(float[1, 1, 8, 8] x, float[1, 18, 6, 6] o) => (float[1, 1, 6, 6] y)
        <float[1, 1, 3, 3] w = {WEIGHT}> {{ y = DeformConv (x, w, o) }}""",
    # the INT32 bias that ONNX Runtime's quantiser makes
    "DequantizeLinear": f"""(float[1, 1, 8, 8] x) => (float[1, 1, 6, 6] y)
        <float[1, 1, 3, 3] w = {WEIGHT}, int32[1] b = {{5}}, float s = {{0.1}}> {{
        bias = DequantizeLinear (b, s)  y = Conv (x, w, bias) }}""",
    # a zero point
    "QuantizeLinear": """(float[8] x) => (float[8] y) <float s = {0.1}, uint8 z = {128}> {
        q = QuantizeLinear (x, s, z)  y = DequantizeLinear (q, s, z) }""",
}


@pytest.mark.parametrize("operator", REFUSED)
def test_what_we_must_not_emit_is_refused(tmp_path: Path, operator: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
    opset = 19 if operator == "DeformConv" else 18
    text = f'<ir_version: 9, opset_import: ["" : {opset}, "own" : 1]> g {REFUSED[operator]}'
    file = tmp_path / "graph.onnx"
    onnx.save(onnx.parser.parse_model(text), file)
    with pytest.raises(EdgedragError, match=rf"graph\.onnx: TensorRT-RTX rejects it: {operator}"):
        build_file(file, {}, "sm_86")


def test_a_target_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="target 'sm_42' is not one of this-gpu, sm_75"):
        build_file(tmp_path / "graph.onnx", {}, "sm_42")
