"""The manifest's costs, counted in one run on shapes, against counters that run the networks at a picture's size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from edgedrag.export.costs import SIDE, concrete, measure_cost, monomial
from edgedrag.export.lightningdrag.costs import cost_of, shapes_of
from edgedrag.export.lightningdrag.graphs import graphs_of
from edgedrag.generator.networks.lightningdrag.sizes import TINY
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights
from edgedrag.runtime.bundle.describe import cost_at

HEIGHT, WIDTH = 256, 320


class ByteCounter(TorchDispatchMode):
    """Bytes that convolutions and matrix products read and write at the size they run at."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in ("convolution", "mm", "addmm", "bmm"):
            self.total += sum(4 * t.numel() for t in (*args, out) if isinstance(t, Tensor))
        return out


@pytest.mark.parametrize(
    ("name", "branch"), [(s.name, b.name) for s in graphs_of(TINY) for b in s.branches if s.name != "masked_encode"]
)
def test_costs_equal_what_runs_at_a_size(name: str, branch: str) -> None:
    spec = next(s for s in graphs_of(TINY) if s.name == name)
    built = next(b for b in spec.branches if b.name == branch)
    cost = cost_of(spec, built, TINY)
    with torch.device("meta"):
        module = built.build(RandomWeights(TINY, 0)).to("meta").eval()
    given = [torch.empty(concrete(s, HEIGHT, WIDTH), device="meta") for s in shapes_of(spec.inputs, TINY)]
    flops, moved = FlopCounterMode(display=False), ByteCounter()
    with torch.no_grad():
        with flops:
            module(*given)
        with moved:
            module(*given)
    assert cost["parameters"] == sum(p.numel() for p in module.parameters())
    assert cost_at(cost["flops"], HEIGHT, WIDTH) == pytest.approx(flops.get_total_flops(), rel=1e-5)
    # The VAE's encoder pads its sides by a pixel, which a polynomial of the area leaves out.
    near = 1e-2 if name == "vae_encode" else 1e-5
    assert cost_at(cost["bytes"], HEIGHT, WIDTH) == pytest.approx(moved.total, rel=near)


def test_a_product_over_a_side_alone_is_refused() -> None:
    assert monomial(12 * SIDE**2).tolist() == [0, 12, 0]
    assert monomial(7).tolist() == [7, 0, 0]
    with pytest.raises(ValueError, match="not a monomial"):
        measure_cost(torch.nn.Linear(4, 4).to("meta"), [["H", 4]])
