"""The branches of a graph: the guidance pair has the layers of the single branch, with other tensor names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import onnx_ir as ir

from edgedrag.calibration.graphs.layers import find_layers, find_sums
from edgedrag.calibration.graphs.placement import Ranges, place
from edgedrag.calibration.runs.workbench import Place, Workbench
from edgedrag.runtime.errors import EdgedragError


def single_branch_names(bench: Workbench, where: Place) -> dict[str, str]:
    """Tensor names of a branch's layers and sums -> names of the same tensors in the single branch."""
    return match_branch_names(where, bench.original(where[0]), bench.original(*where))


def match_branch_names(where: Place, first: ir.Model, branch: ir.Model) -> dict[str, str]:
    """`single_branch_names` for given graphs: the single branch and another one."""
    single, own = find_layers(first), find_layers(branch)
    if [layer.op for layer in single] != [layer.op for layer in own]:
        raise EdgedragError(
            f"'{where[0]}' has other layers in its {where[1]} branch than in its single branch; export the bundle again"
        )
    names = {getattr(o, end): getattr(s, end) for s, o in zip(single, own) for end in ("input", "output")}
    return names | dict(zip(find_sums(branch, own), find_sums(first, single)))


def place_branch(bench: Workbench, where: Place, chosen: Collection[str], ranges: Ranges, placement: str) -> ir.Model:
    """A branch with these layers in INT8; layers and `ranges` are named as in the single branch."""
    model = bench.model(*where)
    layers = find_layers(model)
    if where[1] != "single":
        own = {single: name for name, single in single_branch_names(bench, where).items()}
        ranges = Ranges(
            inputs={own[tensor]: value for tensor, value in ranges.inputs.items()},
            outputs={own[tensor]: value for tensor, value in ranges.outputs.items()},
            divisors={own[tensor]: value for tensor, value in ranges.divisors.items()},
            folds={own[tensor]: own[output] for tensor, output in ranges.folds.items()},
            sums={own[tensor]: value for tensor, value in ranges.sums.items()},
        )
        layers = tuple(replace(o, name=s.name) for s, o in zip(find_layers(bench.original(where[0])), layers))
    place(model, [layer for layer in layers if layer.name in chosen], ranges, placement)
    return model
