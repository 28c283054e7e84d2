"""What TensorRT would answer: parser, builder, engines and contexts, computed by ONNX Runtime on the host's memory.

A plan names the ONNX file that it was built from, and the version that built it.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import onnxruntime as ort
from host_device import HostDevice, HostNetwork
from specified import Answers, Specified

WEIGHTS, ACTIVATIONS = 123_456, 4096
LOGGED_ACTIVATIONS = 7
BROKEN = b"no timing cache at all"
NUMPY = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(int32)": "int32"}


def layer(kind: str, version: str, datatype: str) -> dict[str, Any]:
    """A layer as the engine inspector lists it: type and format are one field in 10.x and two in 11.x."""
    tensor: dict[str, Any] = {"Name": "x", "Location": "Device", "Dimensions": [1, 32, 64, 64]}
    if version.startswith("10."):
        tensor["Format/Datatype"] = f"Thirty-two wide channel vectorized row major {datatype} format"
    else:
        tensor |= {"Datatype": datatype, "Format": "(NHWC) Channel major format"}
    return {"Name": f"{kind} of x", "LayerType": kind, "Inputs": [tensor], "Outputs": [tensor]}


class HostTensorRt:
    """Answers of one version's objects; `log` is the builder's, `builds` what each build was configured with."""

    def __init__(self, trt: Any, device: HostDevice):
        self.trt, self.device, self.version = trt, device, trt.__version__
        self.log: Any = None
        self.builds: list[dict[str, Any]] = []

    def plan(self, file: str) -> bytes:
        return json.dumps({"file": file, "version": self.version}).encode()

    def answers(self) -> Answers:
        named = [name for name in dir(self) if name[0].isupper()]
        properties = {
            "INetworkDefinition.num_inputs": lambda network: len(network.known["inputs"]),
            "ITensor.name": lambda tensor: tensor.known["name"],
            "ITensor.shape": lambda tensor: tensor.known["shape"],
            "OnnxParser.num_errors": lambda parser: 0,
            "ICudaEngine.num_io_tensors": lambda engine: len(engine.known["tensors"]),
            "ICudaEngine.device_memory_size_v2": lambda engine: ACTIVATIONS,
        }
        return properties | {name.replace("__", ".", 1): getattr(self, name) for name in named}

    def Builder____init__(self, builder: Specified, logger: Any) -> None:
        self.log = logger

    def OnnxParser____init__(self, parser: Specified, network: Specified, logger: Any) -> None:
        parser.known["network"] = network

    def OnnxParser__parse_from_file(self, parser: Specified, model: str) -> bool:
        inputs = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()
        shapes = [(t.name, tuple(n if isinstance(n, int) else -1 for n in t.shape)) for t in inputs]
        parser.known["network"].known.update(file=model, inputs=shapes)
        return True

    def INetworkDefinition__get_input(self, network: Specified, index: int) -> Specified:
        name, shape = network.known["inputs"][index]
        return network.library.make("ITensor", name=name, shape=shape)

    def IOptimizationProfile__set_shape(self, profile: Specified, input: str, min: Any, opt: Any, max: Any) -> None:
        profile.known[input] = (min, opt, max)

    def IBuilderConfig__add_optimization_profile(self, config: Specified, profile: Specified) -> int:
        config.known["profile"] = profile.known
        return 0

    def IBuilderConfig__create_timing_cache(
        self, config: Specified, serialized_timing_cache: bytes
    ) -> Specified | None:
        if serialized_timing_cache == BROKEN:
            return None
        return config.library.make("ITimingCache", data=serialized_timing_cache or self.version.encode())

    def IBuilderConfig__set_timing_cache(self, config: Specified, cache: Specified, ignore_mismatch: bool) -> bool:
        matches = cache.known["data"] == self.version.encode()
        if matches:
            config.known["cache"] = cache
        return matches

    def IBuilderConfig__get_timing_cache(self, config: Specified) -> Specified | None:
        return config.known.get("cache")

    def ITimingCache__serialize(self, cache: Specified) -> bytes:
        return cache.known["data"]

    def Builder__build_serialized_network(self, builder: Specified, network: Specified, config: Specified) -> bytes:
        self.builds.append(dict(config.known))
        assert {n for n, shape in network.known["inputs"] if -1 in shape} == set(config.known["profile"])
        monitor = config.known["progress_monitor"]
        monitor.phase_start("Building Engine", None, 2)
        for step in range(2):
            assert monitor.step_complete("Building Engine", step)
        monitor.phase_finish("Building Engine")
        info = self.trt.ILogger.Severity.INFO
        self.log.log(info, f"Total Activation Memory: {LOGGED_ACTIVATIONS}")  # as early 10.x wrote it
        self.log.log(info, f"Total Weights Memory: {WEIGHTS} bytes")
        return self.plan(network.known["file"])

    def Runtime____init__(self, runtime: Specified, logger: Any) -> None:
        """Nothing to remember."""

    def Runtime__deserialize_cuda_engine(self, runtime: Specified, serialized_engine: bytes) -> Specified | None:
        plan = json.loads(bytes(serialized_engine))
        if plan["version"] != self.version:
            return None
        session = ort.InferenceSession(plan["file"], providers=["CPUExecutionProvider"])
        modes = self.trt.TensorIOMode
        tensors = [(t.name, modes.INPUT) for t in session.get_inputs()]
        tensors += [(t.name, modes.OUTPUT) for t in session.get_outputs()]
        inputs = [SimpleNamespace(name=t.name, dtype=NUMPY[t.type]) for t in session.get_inputs()]
        return runtime.library.make("ICudaEngine", file=plan["file"], tensors=tensors, inputs=inputs)

    def ICudaEngine__get_tensor_name(self, engine: Specified, index: int) -> str:
        return engine.known["tensors"][index][0]

    def ICudaEngine__get_tensor_mode(self, engine: Specified, name: str) -> Any:
        return dict(engine.known["tensors"])[name]

    def ICudaEngine__get_engine_stat(self, engine: Specified, stat: Any) -> int:
        return WEIGHTS if stat == self.trt.EngineStat.TOTAL_WEIGHTS_SIZE else -1

    def EngineInspector__get_engine_information(self, inspector: Specified, format: Any) -> str:
        assert format == self.trt.LayerInformationFormat.JSON
        layers = [layer("CaskConvolution", self.version, "Int8"), layer("gemm", self.version, "Int8")]
        layers += [layer("kgen", self.version, "Int8"), layer("correlation", self.version, "Half")]
        return json.dumps({"Layers": layers})

    def IRuntimeConfig__set_execution_context_allocation_strategy(self, config: Specified, strategy: Any) -> None:
        config.known["strategy"] = strategy

    def IRuntimeCache__serialize(self, cache: Specified) -> bytes:
        return b"compiled"

    def ICudaEngine__create_execution_context(
        self, engine: Specified, strategy: Any = None, runtime_config: Specified | None = None
    ) -> Specified:
        strategy = strategy if runtime_config is None else runtime_config.known["strategy"]
        assert strategy == self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        graph: Any = SimpleNamespace(inputs=engine.known["inputs"])
        network = HostNetwork(self.device, graph, engine.known["file"], WEIGHTS)
        return engine.library.make("IExecutionContext", network=network, shapes={})

    def IExecutionContext__set_input_shape(self, context: Specified, name: str, shape: Any) -> bool:
        context.known["shapes"][name] = tuple(shape)
        return True

    def IExecutionContext__set_tensor_address(self, context: Specified, name: str, memory: int) -> bool:
        context.known["network"].bind(name, memory, context.known["shapes"].get(name, ()))
        return True

    def IExecutionContext__set_device_memory(self, context: Specified, memory: int, size: int) -> None:
        assert memory % 256 == 0 and size >= ACTIVATIONS
        context.known["scratch"] = (memory, size)

    def IExecutionContext__execute_async_v3(self, context: Specified, stream_handle: int) -> bool:
        context.known["network"].enqueue(*context.known["scratch"])
        return True
