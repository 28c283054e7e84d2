"""Writing LightningDrag's graphs: each module is traced, written and compared while a drag runs through them."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from torch import Tensor, nn
from tqdm import tqdm

from edgedrag.export.cuda_fusion import fuse, fused_file
from edgedrag.export.golden import golden_inputs
from edgedrag.export.half import Peaks, halve, watch
from edgedrag.export.lightningdrag.graphs import LEAST, MOST, MULTIPLE, Branch, GraphSpec, is_half, shape_of
from edgedrag.export.lightningdrag.manifest import INPUTS
from edgedrag.export.parity import snr_db
from edgedrag.export.scene import Scene
from edgedrag.export.trace import clean, dynamic_axes, to_program
from edgedrag.export.weight_file import WeightFile
from edgedrag.generator.networks.lightningdrag.weights import Weights
from edgedrag.runtime.drag.composite import Generated, compose
from edgedrag.runtime.errors import EdgedragError
from edgedrag.runtime.selection.self_test import sample

MIN_SNR_DB = {"fp32": 80.0, "fp16": 35.0}


class GraphWriter:
    """Writes graphs in execution order while running a drag through their modules."""

    def __init__(self, weights: Weights, folder: Path, precision: str, scene: Scene):
        self.parity: list[dict[str, Any]] = []
        self.fp32_layers: list[str] = []
        self._weights, self._folder, self._precision, self._scene = weights, folder, precision, scene
        self._tensors: dict[str, Tensor] = {}  # outputs of the graphs so far
        self._makers: dict[str, str] = {}  # the last graph with this output
        self._data: dict[str, WeightFile] = {}
        self._peaks: dict[str, Peaks] = {}
        self._traced: dict[tuple[Branch, tuple[str, ...]], ir.Model] = {}  # by branch and its layers in fp32

    def write(self, spec: GraphSpec, bar: tqdm) -> None:
        """Build each branch's module, run it, write graph and weights, and compare them.

        Raises:
            EdgedragError: the SNR is below MIN_SNR_DB.
        """
        outputs: dict[str, Tensor] = {}
        for branch in spec.branches:
            bar.set_postfix_str(spec.file_name(branch))
            outputs = {**self._write_branch(spec, branch), **outputs}
            bar.update()
        self._tensors.update(outputs)
        self._makers.update(dict.fromkeys(outputs, spec.name))

    def golden(self, height: int, width: int) -> dict[str, np.ndarray]:
        """The golden drag with PyTorch's float32 results, see `runtime/selection/self_test.py`."""
        stored = golden_inputs(height, width, self._scene.steps)
        low, high = INPUTS["image"]["low"], INPUTS["image"]["high"]
        result = (self._tensors["result"][0].permute(1, 2, 0).numpy() - low) / (high - low)
        stored["edited"] = compose(stored["picture"], stored["mask"], Generated(result, None, None))
        for name, tensor in self._tensors.items():
            stored[f"{self._makers[name]}/{name}"] = sample(tensor.numpy())
        return stored

    def _write_branch(self, spec: GraphSpec, branch: Branch) -> dict[str, Tensor]:
        """Write a branch; returns its outputs (of the last step) in the drag."""
        file = self._folder / spec.file_name(branch)
        module = branch.build(self._weights).eval()
        given, expected, outputs = self._run(module, spec)
        fp32: list[str] = []
        if self._precision == "fp16":
            fp32 = halve(module, self._peaks[spec.name])
            self.fp32_layers += [f"{file.stem}: {name}" for name in fp32]
        if (branch, tuple(fp32)) not in self._traced:
            self._traced[branch, tuple(fp32)] = self._trace(module, spec, given)
        self._save(self._traced[branch, tuple(fp32)], spec, file)
        self._write_fused(spec, file)
        del module
        gc.collect()  # a module and its exported program reference each other
        snr = self._compare(spec, file, given, expected)
        if snr < MIN_SNR_DB[self._precision]:
            raise EdgedragError(f"{file.name}: SNR {snr:.1f} dB against PyTorch, below {MIN_SNR_DB[self._precision]}")
        height, width = self._scene.size
        self.parity.append({"graph": file.stem, "height": height, "width": width, "snr_db": round(snr, 1)})
        return outputs

    def _run(self, module: nn.Module, spec: GraphSpec) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
        """Run a graph's part of the drag; returns inputs and outputs of the first step, and outputs of the last."""
        peaks = self._peaks.setdefault(spec.name, {})
        first: tuple[list[Tensor], list[Tensor]] | None = None
        outputs_by_name: dict[str, Tensor] = {}
        for step in range(self._scene.steps if spec.stage == "denoise" else 1):
            if spec.stage == "denoise":
                self._scene.enter(step)
            given = [{**self._scene.tensors, **self._tensors, **outputs_by_name}[name] for name in spec.inputs]
            with watch(module, peaks) if self._precision == "fp16" else nullcontext():
                result = module(*given)
            outputs = list(result) if isinstance(result, tuple) else [result]
            outputs_by_name = dict(zip(spec.outputs, outputs))
            first = first or (given, outputs)
        assert first is not None
        return *first, outputs_by_name

    def _trace(self, module: nn.Module, spec: GraphSpec, given: list[Tensor]) -> ir.Model:
        """The graph of a module, with its weights moved to their file."""
        shapes = [shape_of(name, self._weights.size) for name in spec.inputs]
        axes = dynamic_axes(shapes, MULTIPLE, LEAST // MULTIPLE, MOST // MULTIPLE)
        typed = [t.half() if is_half(n, self._precision) else t for n, t in zip(spec.inputs, given)]
        without_dropout(module)
        whole = Joined(module, [is_half(n, self._precision) for n in spec.outputs]).eval()
        program = to_program(whole, typed, spec.inputs, spec.file_outputs(), [tuple(axes)])
        model = program.model
        clean(model)
        if spec.data not in self._data:
            self._data[spec.data] = WeightFile(self._folder / spec.data_file)
        self._data[spec.data].take(model)
        return model

    def _save(self, model: ir.Model, spec: GraphSpec, file: Path) -> None:
        """Write a graph with its spec's tensor names; it may have been traced for another spec."""
        for values, names in ((model.graph.inputs, spec.inputs), (model.graph.outputs, spec.file_outputs())):
            for value, name in zip(values, names, strict=True):
                value.name = name
        ir.save(model, file)

    def _write_fused(self, spec: GraphSpec, file: Path) -> None:
        """The same graph for ONNX Runtime's CUDA provider, where its operators replace attention and group norms."""
        model = ir.load(file)
        fused = fuse(model)
        if fused.attention and fused.group_norm:
            self._data[spec.data].take(model, from_files=False)
            ir.save(model, fused_file(file))

    def _compare(self, spec: GraphSpec, file: Path, given: list[Tensor], expected: list[Tensor]) -> float:
        """The lowest SNR (dB) of a graph's outputs on ONNX Runtime against its module's in float32."""
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        inputs = {i.name for i in session.get_inputs()}
        feeds = {
            n: (t.half() if is_half(n, self._precision) else t).numpy()
            for n, t in zip(spec.inputs, given)
            if n in inputs
        }
        actual = session.run(spec.file_outputs(), feeds)
        return min(snr_db(e.numpy(), f.astype(np.float32)) for e, f in zip(expected, actual))


def without_dropout(module: nn.Module) -> None:
    """Remove dropout, which has no effect in evaluation but would be traced."""
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.Dropout):
            module.set_submodule(name, nn.Identity())


class Joined(nn.Module):
    """A module with its outputs in the types that the manifest states."""

    def __init__(self, module: nn.Module, halves: list[bool]):
        super().__init__()
        self.module = module
        self.halves = halves

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        result = self.module(*given)
        outputs = result if isinstance(result, tuple) else (result,)
        return tuple(t.half() if half else t.float() for t, half in zip(outputs, self.halves))
