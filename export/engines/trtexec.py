"""The trtexec command that builds and times a bundle's graph with the options of `edgedrag engines build`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from edgedrag.export.engines.build import pick_precision
from edgedrag.runtime.backends.tensorrt.cache import ANY_SIZE, Size, depends_on_size, profile
from edgedrag.runtime.bundle.graphs import HOLD, Graph
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError

# Strongly typed, as TensorRT 11 always is; timed as in a drag: as a CUDA graph, with its arrays on the device.
FLAGS = ("--stronglyTyped", "--profilingVerbosity=detailed", "--useCudaGraph", "--noDataTransfers", "--useSpinWait")


def trtexec_commands(bundle: Bundle, name: str, branch: str, precision: str, sizes: tuple[Size, ...]) -> Iterator[str]:
    """A shell command for each window size (H, W); a single one if the graph does not depend on the size.

    Args:
        branch: "single" or "pair".
        precision: "fp32", "fp16", "int8", or "auto" as in a build.

    Raises:
        InputError: no such graph, branch or precision.
        BundleError: the graph's file is missing or damaged.
    """
    graphs = {graph.name: (stage, graph) for stage, graph in bundle.graphs()}
    if name not in graphs:
        raise InputError(f"bundle '{bundle.name}' has no graph '{name}'; it has: {', '.join(graphs)}")
    stage, graph = graphs[name]
    if stage == HOLD:  # at its own sizes, whatever the windows are
        sizes = tuple(bundle.sizes_of(HOLD))
    variants = graph.files(pick_precision(bundle, precision), "tensorrt")
    if branch not in variants:
        raise InputError(f"graph '{name}' has no branch '{branch}'; it has: {', '.join(variants)}")
    file = bundle.verified_file(variants[branch])
    for size in sizes if depends_on_size(graph) else (ANY_SIZE,):
        suffix = "" if size == ANY_SIZE else f"-{size[0]}x{size[1]}"
        engine = f"{bundle.name}-{name}-{variants[branch].precision}{suffix}.engine"
        arguments = [f"--onnx={file}", *_shapes(bundle, graph, size), *FLAGS, f"--saveEngine={engine}"]
        yield shlex.join(["trtexec", *arguments])


def _shapes(bundle: Bundle, graph: Graph, size: Size) -> list[str]:
    """The optimization profile: smallest, usual and largest shape of each dynamic input; timed at the usual one."""
    open_inputs = [t.name for t in graph.inputs if any(isinstance(dim, str) for dim in t.shape)]
    if not open_inputs:
        return []
    shapes = profile(bundle, graph, size)
    return [
        f"--{option}=" + ",".join(f"{name}:{'x'.join(map(str, shapes[name][at]))}" for name in open_inputs)
        for option, at in (("minShapes", 0), ("optShapes", 1), ("maxShapes", 2), ("shapes", 1))
    ]
