"""Counts the work of both networks' graphs by kind of operator, for `bench plan`.

Writes benchmarks/latency/graph_work.json; rows of graphs that this version no longer has stay as they are, since
reports of earlier versions hold their times:

python tools/graph_work.py
"""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from edgedrag.benchmarks.latency.work import FILE
from edgedrag.export.costs import concrete
from edgedrag.export.embedded import GRAPHS, traced
from edgedrag.export.hold import hold_graphs
from edgedrag.export.lightningdrag.costs import shapes_of
from edgedrag.export.lightningdrag.graphs import graphs_of
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.networks.lightningdrag.sizes import FULL
from edgedrag.generator.networks.lightningdrag.weights import RandomWeights
from edgedrag.generator.training.checkpoint import load_checkpoint

CHECKPOINTS = Path(__file__).parents[1] / "generator" / "checkpoints"
SAMPLING = ("grid_sampler_2d", "gather", "index")
# Views and shapes cost nothing.
FREE = {"view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "unsqueeze", "squeeze", "slice",
        "select", "split", "split_with_sizes", "unbind", "alias", "detach", "as_strided", "empty",
        "_to_copy"}  # fmt: skip


class WorkCounter(TorchDispatchMode):
    """Counts by kind: FLOPs of convolutions and of matrix products, sampled values, other bytes (fp32), operators."""

    def __init__(self) -> None:
        super().__init__()
        self.work: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:  # type: ignore[type-arg]
        out = func(*args, **(kwargs or {}))
        packet, name = func.overloadpacket, func.overloadpacket.__name__
        made = [t for t in (out if isinstance(out, tuple | list) else (out,)) if isinstance(t, Tensor)]
        if name in FREE:
            return out
        self.work["operators"] += 1
        if name in SAMPLING:
            self.work["sampled"] += sum(t.numel() for t in made)
        elif packet in flop_registry:
            kind = "convolution" if name == "convolution" else "product"
            self.work[kind] += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        else:
            read = [t for t in args if isinstance(t, Tensor)]
            self.work["bytes"] += 4 * sum(math.prod(t.shape) for t in (*read, *made))
        return out


def count(module: nn.Module, shapes: Sequence[Sequence[int | str]], side: int) -> dict[str, int]:
    """The work of a module on the device "meta" at side x side pixels, for one drag."""
    counter = WorkCounter()
    single = [[1 if dim == "N" else dim for dim in shape] for shape in shapes]
    given = [torch.empty(concrete(shape, side, side), device="meta") for shape in single]
    with torch.no_grad(), counter:
        module(*given)
    kinds = ("convolution", "product", "sampled", "bytes", "operators")
    return {"pixels": side * side, **{kind: int(counter.work[kind]) for kind in kinds}}


def embedded() -> Iterator[tuple[str, dict[str, int]]]:
    generator, _ = load_checkpoint(CHECKPOINTS / "embedded.safetensors")
    graphs = [traced(spec, generator) for spec in GRAPHS]
    for graph in graphs:
        yield graph.name, count(copy.deepcopy(graph.module).to("meta"), graph.shapes(), 256)
    for graph in hold_graphs(load_hold(CHECKPOINTS / "hold.safetensors")[0]):
        yield graph.name, count(copy.deepcopy(graph.module).to("meta"), graph.shapes(), 224)


def lightningdrag() -> Iterator[tuple[str, dict[str, int]]]:
    for spec in graphs_of(FULL):
        for branch in spec.branches:
            with torch.device("meta"):
                module = branch.build(RandomWeights(FULL, 0)).to("meta").eval()
            name = spec.name if branch.name == "single" else f"{spec.name}, {branch.name}"
            yield name, count(module, shapes_of(spec.inputs, FULL), 512)


def main() -> None:
    work = json.loads(FILE.read_text()) if FILE.exists() else {"networks": {}}
    work["about"] = (
        "FLOPs of convolutions and of matrix products, sampled values, bytes (fp32) that other operators read and "
        "write, and operators, of one run at so many pixels; written by tools/graph_work.py."
    )
    for network, rows in (("embedded", embedded()), ("lightningdrag-sd15", lightningdrag())):
        work["networks"].setdefault(network, {}).update(dict(rows))
    networks = ",\n".join(
        f'  "{network}": {{\n' + ",\n".join(f'   "{n}": {json.dumps(row)}' for n, row in rows.items()) + "\n  }"
        for network, rows in work["networks"].items()
    )
    FILE.write_text(f'{{\n "about": {json.dumps(work["about"])},\n "networks": {{\n{networks}\n }}\n}}\n')


if __name__ == "__main__":
    main()
