"""ONNX graphs to TensorRT-RTX engines, ahead of time: no GPU is needed, the generation of the target is named."""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedrag.runtime.bundle import Bundle, Graph, Variant
from edgedrag.runtime.errors import EdgedragError, EngineError, InputError

# A line of the engine's list of layers; "kgen" are pointwise ones.
INT8_LAYER = re.compile(r"^\s*Name: [^,]*, LayerType: (?!kgen)\w+, Inputs: \[ \{[^}]*Datatype: Int8", re.M)
TARGETS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121")


@dataclass(frozen=True)
class Engine:
    """A built engine.

    Attributes:
        plan: the engine itself.
        weight_bytes, activation_bytes: device memory that it will take.
        int8_layers: convolutions and products of matrices that it computes in INT8.
        seconds: that the build took.
    """

    plan: bytes
    weight_bytes: int
    activation_bytes: int
    int8_layers: int
    seconds: float


def build_engine(bundle: Bundle, graph: Graph, variant: Variant, size: tuple[int, int], target: str) -> Engine:
    """Build one graph of a bundle for pictures of one size (H, W), strongly typed: precision is the graph's own.

    Raises:
        InputError: a target that TensorRT-RTX does not know.
        BundleError: the graph's files are not those that were exported.
        EngineError: TensorRT-RTX is not installed.
        EdgedragError: it refuses the graph; says at which node and why.
    """
    sizes = {"H": size[0], "W": size[1], "N": 1}
    shapes = {t.name: t.concrete(sizes) for t in graph.inputs}
    return build_file(bundle.verified_file(variant), shapes, target)


def build_file(file: Path, shapes: Mapping[str, tuple[int, ...]], target: str) -> Engine:
    """The same of an ONNX file; `shapes` of its inputs, for those whose sizes are open."""
    if target not in TARGETS:
        raise InputError(f"target '{target}' is not one of {', '.join(TARGETS)}")
    if importlib.util.find_spec("tensorrt_rtx") is None:
        raise EngineError("tensorrt-rtx is not installed; `pip install 'edgedrag[rtx]'`")
    import tensorrt_rtx as trt

    class Log(trt.ILogger):
        """What the builder says; without a GPU an engine cannot be asked for its memory."""

        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []
            self.bytes = {"Activation": 0, "Weights": 0}
            self.int8_layers = 0

        def log(self, severity: trt.ILogger.Severity, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)
            elif found := re.match(r"Total (Activation|Weights) Memory: (\d+) bytes", message):
                self.bytes[found[1]] = int(found[2])
            self.int8_layers += len(INT8_LAYER.findall(message))

    started = time.perf_counter()
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(file)):
        raise EdgedragError(f"{file.name}: TensorRT-RTX refuses it: {refusals(parser)}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # the log then lists the engine's layers
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, target.upper().replace("_", "")), 0)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        value = network.get_input(index)
        if -1 in tuple(value.shape):
            profile.set_shape(value.name, *[shapes[value.name]] * 3)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EdgedragError(f"{file.name}: TensorRT-RTX cannot build it for {target}: {log.errors[-1:]}")
    return Engine(
        bytes(plan), log.bytes["Weights"], log.bytes["Activation"], log.int8_layers, time.perf_counter() - started
    )


def refusals(parser: Any) -> str:
    """What a parser refused, each node once."""
    told = []
    for error in (parser.get_error(index) for index in range(parser.num_errors)):
        why = " ".join(error.desc().split())
        node = f"{error.node_operator()} {error.node_name()}".strip()
        told.append(f"{node}: {'no such operator' if why == 'false' else why}")
    return "; ".join(dict.fromkeys(told))
