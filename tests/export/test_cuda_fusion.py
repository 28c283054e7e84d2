"""The CUDA provider's form of a graph computes the same function as the graph that was exported."""

from __future__ import annotations

from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import Tensor, nn

from edgedrag.export.cuda_fusion import Fused, fuse
from edgedrag.export.parity import snr_db
from edgedrag.export.trace import to_program
from edgedrag.generator.networks.lightningdrag.attention import (
    ImagePromptAttention,
    LayerConditioning,
    ReferenceAttention,
)

pytestmark = pytest.mark.slow

NAMES = list("abcdefg")
HEADS, SIDE = 8, 8


class MultiHeadAttention(OpRun):
    """As ONNX Runtime's docs/ContribOperators.md says, without bias, mask and past."""

    op_domain = "com.microsoft"

    def _run(self, q: Any, k: Any, v: Any, num_heads: Any = None) -> Any:
        q, k, v = (t.reshape(*t.shape[:2], num_heads, -1).swapaxes(1, 2) for t in (q, k, v))
        weights = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
        made = (weights / weights.sum(-1, keepdims=True) @ v).swapaxes(1, 2)
        return (made.reshape(*made.shape[:2], -1).astype(q.dtype),)


class GroupNorm(OpRun):
    """The same page's, channels last."""

    op_domain = "com.microsoft"

    def _run(self, x: Any, gamma: Any, beta: Any, **options: Any) -> Any:
        assert options["channels_last"] == 1
        grouped = x.astype(np.float64).reshape(x.shape[0], -1, options["groups"], x.shape[-1] // options["groups"])
        centred = grouped - grouped.mean((1, 3), keepdims=True)
        normal = centred / np.sqrt((centred**2).mean((1, 3), keepdims=True) + options["epsilon"])
        made = normal.reshape(x.shape) * gamma + beta
        return ((made / (1 + np.exp(-made)) if options["activation"] else made).astype(x.dtype),)


class BiasSplitGelu(OpRun):
    op_domain = "com.microsoft"

    def _run(self, x: Any, bias: Any) -> Any:
        left, right = np.split((x + bias).astype(np.float64), 2, -1)
        return ((left * right * 0.5 * (1 + np.vectorize(erf)(right / np.sqrt(2)))).astype(x.dtype),)


class Block(nn.Module):
    """A residual block and an attention block, as LightningDrag's denoiser strings them together."""

    def __init__(self, width: int, norms: bool = True):
        super().__init__()
        self.norms = norms
        self.convolutions = ResnetBlock2D(in_channels=width, out_channels=width, temb_channels=16, groups=HEADS)
        self.norm = nn.GroupNorm(HEADS, width)
        self.attention = BasicTransformerBlock(width, HEADS, width // HEADS, cross_attention_dim=16)
        self.attention.attn1.set_processor(ReferenceAttention(0))
        prompt = ImagePromptAttention(width, 16)
        self.attention.attn2.set_processor(prompt)
        prompt.set_prompt(self.attention.attn2, torch.randn(1, 7, 16))
        self.attention.attn2.to_k = self.attention.attn2.to_v = None

    def forward(self, x: Tensor, time: Tensor, ip: Tensor, *conditioning: Tensor) -> Tensor:
        x = self.convolutions(x, time) if self.norms else x + time.mean()
        tokens = (self.norm(x) if self.norms else x).permute(0, 2, 3, 1).flatten(1, 2)
        options = {"conditioning": [LayerConditioning(*conditioning)]}
        tokens = self.attention(tokens, encoder_hidden_states=ip, cross_attention_kwargs=options)
        return x + tokens.unflatten(1, (SIDE, SIDE)).permute(0, 3, 1, 2)


def exported(width: int, folder: Path, norms: bool = True) -> tuple[Path, dict[str, np.ndarray]]:
    torch.manual_seed(0)
    given = [torch.randn(2, width, SIDE, SIDE), torch.randn(2, 16), torch.randn(2, 4, 16)]
    given += [torch.randn(2, SIDE * SIDE, width) for _ in range(4)]
    with torch.no_grad():
        program = to_program(Block(width, norms).eval(), given, NAMES, ["y"], [{}, {}, {}, ({},) * 4])
    file = folder / "block.onnx"
    onnx.save(program.model_proto, file)
    return file, {name: tensor.numpy() for name, tensor in zip(NAMES, given)}


def run(file: Path, given: dict[str, np.ndarray]) -> np.ndarray:
    return ort.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, given)[0]


def test_all_that_the_provider_has_is_fused(tmp_path: Path) -> None:
    """At SD 1.5's width, on a reference of the operators: ONNX Runtime has no kernels of two of them for a CPU."""
    file, given = exported(320, tmp_path)
    model = ir.load(file)
    before = len(list(model.graph))
    assert fuse(model) == Fused(attention=3, group_norm=3, gated_gelu=1)
    assert len(list(model.graph)) < before / 2
    left = {node.op_type for node in model.graph}
    assert not left & {"Softmax", "InstanceNormalization", "Erf", "Split"}
    operators = [MultiHeadAttention, GroupNorm, BiasSplitGelu]
    found = ReferenceEvaluator(ir.to_proto(model), new_ops=operators).run(None, given)[0]
    assert snr_db(run(file, given), found) > 110


def test_attention_runs_on_the_cpu(tmp_path: Path) -> None:
    """Only attention: its kernel is ONNX Runtime's own here."""
    file, given = exported(32, tmp_path, norms=False)
    model = ir.load(file)
    assert fuse(model) == Fused(attention=3, group_norm=0, gated_gelu=0), "32 is no width of the provider's GELU"
    ir.save(model, tmp_path / "fused.onnx")
    assert snr_db(run(file, given), run(tmp_path / "fused.onnx", given)) > 110


@pytest.mark.parametrize("change", ["another scale", "used twice", "no whole norm"])
def test_what_only_looks_alike_stays(change: str, tmp_path: Path) -> None:
    file, given = exported(32, tmp_path)
    model = ir.load(file)
    softmax, *_ = (node for node in model.graph if node.op_type == "Softmax")
    if change == "another scale":
        scale = softmax.inputs[0].producer().inputs[0].producer().inputs[1]
        scale.const_value = ir.tensor(scale.const_value.numpy() * 2, name=scale.name)
    elif change == "used twice":
        model.graph.outputs.append(softmax.outputs[0])
    else:
        norm, *_ = (node for node in model.graph if node.op_type == "InstanceNormalization")
        ones = norm.inputs[1]
        ones.const_value = ir.tensor(ones.const_value.numpy() * 2, name=ones.name)
    ir.save(model, tmp_path / "changed.onnx")
    fused = fuse(model)
    assert fused.attention < 3 or fused.group_norm < 3
    found = ReferenceEvaluator(ir.to_proto(model), new_ops=[MultiHeadAttention, GroupNorm]).run(None, given)[0]
    assert snr_db(run(tmp_path / "changed.onnx", given), found) > 110


def test_a_graph_without_such_parts_stays_as_it_is() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]> g (float[2] x) => (float[2] y) { y = Erf (x) }'
    )
    model = ir.from_proto(proto)
    assert not any(fuse(model))
    assert [node.op_type for node in model.graph] == ["Erf"]
    assert set(model.opset_imports) == {""}
