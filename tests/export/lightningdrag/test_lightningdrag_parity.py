"""LightningDrag's bundles compute what PyTorch does: from a checkpoint folder and from random weights."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import onnx
import pytest
from lightningdrag_bundles import SEED, fp16, fp32, published, whole_drag
from torch_backend import TorchBackend

from edgedrag.export.checkpoints import export_random
from edgedrag.export.parity import snr_db
from edgedrag.generator.networks.lightningdrag.published import PublishedWeights
from edgedrag.generator.networks.lightningdrag.sizes import FULL, TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights, Weights
from edgedrag.runtime.backends.onnxruntime import OnnxRuntimeCpu
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.drag.stages import Stages

__all__ = ["fp16", "fp32", "published"]
pytestmark = pytest.mark.slow


def check_against_pytorch(folder: Path, weights: Weights, precision: str, least: float) -> None:
    bundle = open_bundle(folder)
    parity = {p["graph"]: p["snr_db"] for p in bundle.manifest["provenance"]["parity"]}
    assert len(parity) == 9 and min(parity.values()) >= least
    found = whole_drag(bundle, Stages(bundle, OnnxRuntimeCpu(), precision))
    expected = whole_drag(bundle, Stages(bundle, TorchBackend(weights), precision))
    whole = snr_db(expected, found)
    print(f"SNR against PyTorch, dB: {parity}, a whole drag {whole:.1f}")  # for `-rP`
    assert whole >= least


def test_a_whole_drag_equals_pytorch_in_fp32(fp32: Path) -> None:
    check_against_pytorch(fp32, RandomWeights(TINY, SEED), "fp32", 80)


def test_a_whole_drag_equals_pytorch_in_fp16(fp16: Path, published: tuple[Path, Path]) -> None:
    """With the LoRA fused by the loader, which PyTorch does here too."""
    check_against_pytorch(fp16, PublishedWeights(*published), "fp16", 35)
    assert json.loads((fp16 / "bundle.json").read_text())["sampler"]["method"] == "lcm"


@pytest.mark.fullsize
def test_a_whole_drag_equals_pytorch_at_full_size(tmp_path: Path) -> None:
    """`-m fullsize`; needs 24 GB of memory, 10 GB of disk and half an hour."""
    export_random(0, "full", tmp_path / "bundle")
    check_against_pytorch(tmp_path / "bundle", RandomWeights(FULL, 0), "fp32", 80)


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_denoisers_have_a_form_for_the_cuda_provider(request: pytest.FixtureRequest, precision: str) -> None:
    bundle = open_bundle(request.getfixturevalue(precision))
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
