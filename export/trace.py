"""Exporting PyTorch modules as ONNX graphs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import materialize_reshape_shape_rule, no_op_cast_rule
from torch import Tensor, nn
from torch.export import Dim

OPSET = 18  # the newest that every TensorRT of JetPack 6 parses
RULES = [materialize_reshape_shape_rule, no_op_cast_rule]

Axes = dict[int, object]  # axis -> torch.export dimension


def dynamic_axes(shapes: Sequence[Sequence[int | str]], multiple: int, least: int = 2, most: int = 256) -> list[Axes]:
    """The dynamic axes of tensors with shapes in the manifest's notation.

    Args:
        multiple: H and W are multiples of this, between `least` and `most` times it.
    """
    symbols = {"H": Dim("h", min=least, max=most), "W": Dim("w", min=least, max=most), "N": Dim("n", min=2, max=64)}

    def dynamic(shape: Sequence[int | str]) -> Axes:
        dims: Axes = {}
        for axis, size in enumerate(shape):
            if isinstance(size, str):
                symbol, _, divisor = size.partition("/")
                factor = 1 if symbol == "N" else multiple // int(divisor or 1)
                dims[axis] = factor * symbols[symbol] if factor > 1 else symbols[symbol]
        return dims

    return [dynamic(shape) for shape in shapes]


def to_program(
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: Sequence[object],
) -> torch.onnx.ONNXProgram:
    """Export a module.

    Args:
        example: the module's arguments, at a size without special values such as 1 or equal sides.
        axes: the dynamic axes of the inputs.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision is not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch._dynamo.config.patch(fake_tensor_cache_enabled=False):  # few hits and much work if sizes are open
            exported = torch.export.export(module, tuple(example), dynamic_shapes=tuple(axes))
            name_casts(exported)
            decompose_on_demand(exported)
            program = torch.onnx.export(
                exported,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
                optimize=False,
            )
    assert program is not None, "the exporter returns a program unless it was given a file"
    simplify(program.model)
    return program


def name_casts(program: torch.export.ExportedProgram) -> None:
    """Write every cast as the operator that the ONNX exporter knows, so that it need not be decomposed."""
    for node in program.graph.nodes:
        if node.target is torch.ops.aten.to.dtype:
            node.target, node.args, node.kwargs = torch.ops.prims.convert_element_type.default, node.args[:2], {}


def decompose_on_demand(program: torch.export.ExportedProgram) -> None:
    """Let the ONNX exporter decompose operators only where it has no ONNX function for one, or one works in place.

    To decompose, PyTorch traces the whole program twice more, which takes longer than all else where sizes are dynamic.
    """
    decompose = program.run_decompositions

    def run(table: Mapping[Any, Any] | None = None, **options: Any) -> torch.export.ExportedProgram:
        operators = {node.target for node in program.graph.nodes if node.op == "call_function"}
        in_place = any(o._schema.is_mutable for o in operators if isinstance(o, torch._ops.OpOverload))
        if table is None or in_place or operators & set(table):
            return decompose(table, **options)
        return program

    program.run_decompositions = run  # type: ignore[method-assign]


def simplify(model: ir.Model) -> None:
    """Fold constants and drop what is unused or there twice, in place.

    The exporter's own optimizer does this too, but also matches some fifty patterns at every node, of which these
    graphs have few; fusing is left to the engines.
    """
    common.InlinePass()(model)
    fold_constants(model, onnx_shape_inference=True)
    rewrite(model, RULES)
    ir.passes.Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedOpsetsPass(),
        common.NameFixPass(),
    )(model)


def clean(model: ir.Model) -> None:
    """Remove the exporter's source locations and metadata from a graph."""
    nodes = list(model.graph)
    values = [*model.graph.inputs, *model.graph.initializers.values(), *(v for node in nodes for v in node.outputs)]
    entries: list[Any] = [model, model.graph, *nodes, *values]
    for entry in entries:
        entry.doc_string = None
        entry.metadata_props.clear()


def trace(
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    shapes: Sequence[Sequence[int | str]],
    multiple: int,
) -> onnx.ModelProto:
    """Export a module with dynamic sizes (such as "H/4") and weights stored as fp16.

    Args:
        shapes: of the inputs, in the manifest's notation.
        multiple: H and W are multiples of this.
    """
    model = to_program(module, example, inputs, outputs, dynamic_axes(shapes, multiple)).model_proto
    halve_weights(model)
    for entry in (*model.graph.node, model.graph):
        entry.doc_string = ""
        if hasattr(entry, "metadata_props"):
            del entry.metadata_props[:]
    onnx.checker.check_model(model)
    return model


def halve_weights(model: onnx.ModelProto, smallest: int = 64) -> None:
    """Store fp32 weights with at least `smallest` elements as fp16; a Cast restores fp32 when the graph is loaded."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < smallest:
            continue
        values = numpy_helper.to_array(weight).astype(np.float16)
        stored = numpy_helper.from_array(values, weight.name + ".fp16")
        casts.append(helper.make_node("Cast", [stored.name], [weight.name], to=TensorProto.FLOAT))
        weight.CopyFrom(stored)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
