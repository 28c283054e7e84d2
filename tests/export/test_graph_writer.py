"""Graphs that are one module under other names, and what tracing leaves out; on a small module."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from edgedrag.export.lightningdrag import graph_writer
from edgedrag.export.lightningdrag.graph_writer import GraphWriter
from edgedrag.export.lightningdrag.graphs import GraphSpec, single
from edgedrag.export.lightningdrag.manifest import INPUTS
from edgedrag.export.scene import Scene
from edgedrag.generator.networks.lightningdrag.scheduler import STABLE_DIFFUSION_15, sampler_entry
from edgedrag.generator.networks.lightningdrag.sizes import TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights
from edgedrag.runtime.sampling.sampler import make_table

pytestmark = pytest.mark.slow


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 32, 8, 8), nn.Dropout(0.5), nn.Conv2d(32, 4, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image)


@torch.no_grad()
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_one_module_under_two_names_is_traced_once(
    tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = Encoder()
    branches = single(lambda _: copy.deepcopy(encoder))
    specs = (
        GraphSpec("reference", "vae_encode", ("image",), ("source_latent",), branches, "vae_encoder"),
        GraphSpec("drag", "masked_encode", ("masked_image",), ("masked_latent",), branches, "vae_encoder"),
    )
    traced: list[str] = []
    to_program = graph_writer.to_program
    monkeypatch.setattr(graph_writer, "to_program", lambda *a: traced.append(a[2][0]) or to_program(*a))
    table = make_table(sampler_entry("lcm", STABLE_DIFFUSION_15, "config"), 4)
    scene = Scene(256, 320, INPUTS, table)
    writer = GraphWriter(RandomWeights(TINY, 0), tmp_path, precision, scene)
    with graph_writer.tqdm(total=2, disable=True) as bar:
        for spec in specs:
            writer.write(spec, bar)
    assert traced == ["image"]
    for spec in specs:
        file = tmp_path / f"{spec.name}.onnx"
        assert not any("Dropout" in node.op_type for node in onnx.load(file, load_external_data=False).graph.node)
        session = ort.InferenceSession(str(file))
        assert [i.name for i in session.get_inputs()] == list(spec.inputs)
        other = np.zeros((1, 3, 512, 384), np.float32)
        assert session.run(list(spec.outputs), {spec.inputs[0]: other})[0].shape == (1, 4, 64, 48)
    assert sorted(p.name for p in tmp_path.glob("*.data")) == ["vae_encoder.data"]
