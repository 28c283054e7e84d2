"""Modules to graphs with sizes that stay open: right for every operator, and without needless tracing."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgedrag.export.parity import snr_db
from edgedrag.export.trace import dynamic_axes, to_program

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SHAPE: list[int | str] = [1, 4, "H", "W"]


class Known(nn.Module):
    """Operators of the networks: all have an ONNX function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.mix = nn.Conv2d(4, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        y = F.silu(self.norm(self.conv(x.double().float())))
        tokens = self.mix(y.flatten(2).transpose(1, 2)).unflatten(-1, (2, -1)).transpose(1, 2)
        y = F.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).flatten(2)
        y = torch.cat([y, y], 1).transpose(1, 2).chunk(2, -1)[0].unflatten(-1, (h // 2, w // 2))
        return F.interpolate(y, scale_factor=2.0)


class Decomposed(nn.Module):
    """An operator that the exporter must decompose."""

    def forward(self, x: Tensor) -> Tensor:
        return F.huber_loss(x, x.flip(-1), reduction="none")


class InPlace(nn.Module):
    """Writes into a tensor that was read before: right only after functionalisation."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        part = y[:, :2]
        y.add_(1.0)
        return part + y[:, 2:]


def check(module: nn.Module, folder: Path) -> None:
    """A graph equals its module at the size of the example and at others."""
    module.eval()
    axes = dynamic_axes([SHAPE], 8)
    with torch.no_grad():
        to_program(module, [torch.randn(1, 4, 32, 48)], ["x"], ["y"], axes).save(folder / "graph.onnx")
        session = ort.InferenceSession(str(folder / "graph.onnx"))
        for height, width in ((32, 48), (64, 40)):
            x = torch.randn(1, 4, height, width)
            assert snr_db(module(x).numpy(), session.run(["y"], {"x": x.numpy()})[0]) > 100


def test_known_operators_are_traced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the program was traced again to decompose it")

    monkeypatch.setattr(torch.export.ExportedProgram, "run_decompositions", refuse)
    check(Known(), tmp_path)


@pytest.mark.parametrize("module", [Decomposed(), InPlace()], ids=lambda m: type(m).__name__)
def test_what_has_no_onnx_function_or_works_in_place_is_decomposed(module: nn.Module, tmp_path: Path) -> None:
    check(module, tmp_path)


def test_casts_to_the_type_at_hand_are_left_out() -> None:
    module = Known().eval()
    with torch.no_grad():
        model = to_program(module, [torch.randn(1, 4, 32, 48)], ["x"], ["y"], dynamic_axes([SHAPE], 8)).model
    assert sum(node.op_type == "Cast" for node in model.graph) == 2, "to double and back"
    assert all(value.uses() or value.is_graph_output() for node in model.graph for value in node.outputs[:1])
