"""Memory and INT8 layers of a built engine, from the engine itself if it loads here, else from the builder's log.

An engine that was built ahead of time for another GPU does not load; neither does one that needs more memory than is
free. The log is what the builder prints with detailed profiling verbosity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Convolutions and matrix products: CaskConvolution, CaskGemmMatrixMultiply, and the compiler's correlation and gemm.
MULTIPLIES = re.compile(r"conv|correlation|gemm|matrixmultiply|mha", re.I)
INT8 = re.compile(r"\bint8\b", re.I)
MEMORY = re.compile(r"Total (Activation|Weights) Memory: (\d+)\b")
# A line of the log's list of layers, up to its first input's type; 10.x has one field for type and format.
LAYER = re.compile(r"^\s*Name: [^,]*, LayerType: (\w+), Inputs: \[ \{[^}]*?(?:Format/)?Datatype: ([^,}]*)", re.M)


@dataclass(frozen=True)
class EngineFacts:
    """Device memory of an engine (bytes), and its number of convolutions and matrix products in INT8."""

    weight_bytes: int
    activation_bytes: int
    int8_layers: int


def ask_engine(trt: Any, log: Any, plan: bytes) -> EngineFacts:
    """The facts from the engine's own API; what it does not provide, from the builder's log."""
    runtime = trt.Runtime(log)  # must outlive the engine
    return _ask(trt, runtime.deserialize_cuda_engine(plan), log.facts())


def _ask(trt: Any, engine: Any, logged: EngineFacts) -> EngineFacts:
    if engine is None:
        return logged
    weights, layers = logged.weight_bytes, logged.int8_layers
    if hasattr(trt, "EngineStat"):  # since 10.16; -1 if unknown
        stated = int(engine.get_engine_stat(trt.EngineStat.TOTAL_WEIGHTS_SIZE))
        weights = stated if stated > 0 else weights
    listed = count_int8(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    return EngineFacts(weights, int(engine.device_memory_size_v2), layers if listed is None else listed)


def count_int8(information: str) -> int | None:
    """The number of INT8 layers in the engine inspector's JSON (TensorRT 10 or 11); None if it has names only."""
    try:
        listed = json.loads(information)["Layers"]
    except (ValueError, KeyError, TypeError):
        return None
    layers = [layer for layer in listed if isinstance(layer, dict)]
    if not layers:
        return None
    return sum(computes_int8(str(layer.get("LayerType", "")), _datatype(layer)) for layer in layers)


def _datatype(layer: Mapping[str, Any]) -> str:
    """The data type of a layer's first input ("Format/Datatype" in 10.x, "Datatype" in 11.x) and of its weights."""
    inputs = layer.get("Inputs") or [{}]
    stated = [str(value) for key, value in inputs[0].items() if key.lower().endswith("datatype")]
    weights = layer.get("Weights")
    return " ".join([*stated, str(weights.get("Type", "")) if isinstance(weights, dict) else ""])


def computes_int8(layer_type: str, datatype: str) -> bool:
    return bool(MULTIPLIES.search(layer_type) and INT8.search(datatype))


def make_log(trt: Any) -> Any:
    """A logger that collects the builder's errors and facts."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []
            self._bytes = {"Activation": 0, "Weights": 0}
            self._int8_layers = 0

        def facts(self) -> EngineFacts:
            return EngineFacts(self._bytes["Weights"], self._bytes["Activation"], self._int8_layers)

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)
            elif match := MEMORY.match(message):
                self._bytes[match[1]] = int(match[2])
            self._int8_layers += sum(computes_int8(kind, datatype) for kind, datatype in LAYER.findall(message))

    return Log()
