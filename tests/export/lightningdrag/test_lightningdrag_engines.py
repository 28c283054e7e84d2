"""TensorRT-RTX builds LightningDrag's graphs ahead of time, for GPUs that are not here."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightningdrag_bundles import fp16, published

from edgedrag.export.engines.builder import build_file
from edgedrag.export.lightningdrag.graphs import graphs_of
from edgedrag.generator.networks.lightningdrag.sizes import TINY
from edgedrag.runtime.backends.tensorrt.cache import profile
from edgedrag.runtime.bundle.manifest import open_bundle

__all__ = ["fp16", "published"]
pytestmark = pytest.mark.slow

TARGETS = {"vae_encode.onnx": ("sm_86", "sm_89")}  # of each other graph: the first


def graph_names() -> list[str]:
    return [spec.file_name(b) for spec in graphs_of(TINY) for b in spec.branches if spec.name != "masked_encode"]


@pytest.mark.parametrize("file", graph_names())
def test_tensorrt_rtx_builds_every_graph(fp16: Path, file: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
    bundle = open_bundle(fp16)
    graph, variant = next((g, v) for _, g in bundle.graphs() for v in g.variants if v.file == file)
    weights = sum((fp16 / name).stat().st_size for name, _ in variant.external)
    for target in TARGETS.get(file, ("sm_86",)):
        engine = build_file(bundle.verified_file(variant), profile(bundle, graph, (256, 320)), target)
        assert len(engine.plan) > engine.facts.weight_bytes
        if variant.external:
            padded = 1.5 * weights + 100_000  # as kernels read them; it shows in the smallest graphs
            assert 0.2 * weights < engine.facts.weight_bytes <= padded, "fp16 stays fp16"
            assert 0 < engine.facts.activation_bytes < 1 << 28
