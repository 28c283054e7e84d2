"""One drag through the four stages of a bundle."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from edgedrag.runtime.backends.base import Array
from edgedrag.runtime.bundle.graph_inputs import GRAPH_INPUTS
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.drag.blend import deep, generated_change
from edgedrag.runtime.drag.composite import Generated, in_channels
from edgedrag.runtime.drag.held_motion import HeldMotion
from edgedrag.runtime.drag.inputs import DragInputs, PhotoInputs
from edgedrag.runtime.drag.stages import Stages
from edgedrag.runtime.sampling.noise import normal
from edgedrag.runtime.sampling.sampler import GUIDANCE_EPSILON, Table
from edgedrag.runtime.trace import span, timed


class DragRun:
    """`reference` (or its cached tensors), `start`, `denoise` for each step, `decode`, in this order.

    `held` is how what the drags hold moves; where None, all of the mask follows them.

    Attributes:
        picture, mask, points: the window at the generator's size: uint8 RGB [H, W, 3], bool [H, W],
            [N, 4] in its pixels.
        tensors: what is on the backend, by name.
        timings: milliseconds by stage so far; the caller may add entries.
    """

    def __init__(
        self,
        bundle: Bundle,
        stages: Stages,
        picture: np.ndarray,
        mask: np.ndarray,
        points: np.ndarray,
        timings: dict[str, float] | None = None,
        held: HeldMotion | None = None,
    ):
        self.picture, self.mask, self.points = picture, mask, points
        self.timings: dict[str, float] = {} if timings is None else timings
        self.tensors: dict[str, Array] = {}
        self._bundle = bundle
        self._stages = stages
        self._photo_inputs = PhotoInputs(bundle.manifest["inputs"], picture)
        self._drag_inputs = DragInputs(self._photo_inputs, mask, points, held)
        self._noise: list[Array] = []
        self._reused: dict[str, Array] = {}

    @property
    def held(self) -> HeldMotion:
        """How what the drags hold moves."""
        return self._drag_inputs.held

    def on(self, stages: Stages) -> DragRun:
        """The same drag on other stages, from its beginning."""
        run = DragRun(self._bundle, stages, self.picture, self.mask, self.points, self.timings)
        run._drag_inputs = self._drag_inputs
        return run

    def reuse(self, masked: dict[str, Array]) -> None:
        """Use `reusable()` of an earlier drag on the same window with the same mask."""
        self._reused = masked
        self.tensors.update(masked)

    def reusable(self) -> dict[str, Array]:
        """After `start`: tensors that other drags on this window with this mask can reuse."""
        return {name: self.tensors[name] for name in self._bundle.masked_tensors}

    def reference(self) -> None:
        """Run the stage of the photo alone; `tensors` then hold its outputs, which other drags on it can reuse."""
        with timed(self.timings, "reference", "stage"):
            self._stages.run("reference", self.tensors, self._supply)
            self._stages.backend.wait()

    def motion(self) -> Generated:
        """The motion alone, for a preview: the bundle's flow where its graphs make one, else that of what is held."""
        if not self._bundle.makes_flow:
            return self.held.generated(self.picture)
        with timed(self.timings, "drag", "stage", until="flow"):
            self._stages.run("drag", self.tensors, self._supply, until="flow", available=self._reused)
            return Generated(None, self._fetch("flow"), self._fetch("revealed"))

    def start(self, table: Table, seed: int) -> None:
        """Run the `drag` stage, which makes the latent that the loop starts from; uploads the noise of all steps."""
        with timed(self.timings, "drag", "stage"):
            shape = self._noise_shape()
            if shape is not None:
                zeros = self._upload(np.zeros(shape))
                rows = (table.start[2], *table.steps[:, 2])
                self._noise = [self._upload(normal(seed, k, shape)) if c else zeros for k, c in enumerate(rows)]
                self.tensors["noise"] = self._noise[0]
            self.tensors["coefficients"] = self._upload(table.start)
            self._stages.run("drag", self.tensors, self._supply, available=self._reused)
            self._stages.backend.wait()

    def denoise(self, table: Table, step: int) -> None:
        """Run one step: the latent is replaced by the next one, on the backend."""
        with timed(self.timings, "denoise", "step", step=step, steps=len(table.steps)):
            scale = table.guidance[step]
            pair = self._stages.has_pair() and abs(scale - 1) > GUIDANCE_EPSILON
            self.tensors["coefficients"] = self._upload(table.steps[step])
            self.tensors["timestep"] = self._upload(table.timesteps[step : step + 1])
            self.tensors["guidance"] = self._upload(table.guidance[step : step + 1])
            if self._noise:
                self.tensors["noise"] = self._noise[step + 1]
            self._stages.run("denoise", self.tensors, self._supply, branch="pair" if pair else "single")
            self._stages.backend.wait()

    def run(self, table: Table, seed: int) -> Generated:
        """Run all four stages, reusing nothing from earlier drags."""
        self.reference()
        return self.with_fixed_change(self._run_from_drag(table, seed), table, seed)

    def with_fixed_change(self, generated: Generated, table: Table, seed: int) -> Generated:
        """What a seed generated, with `change` as seed 0 makes it: another seed changes revealed areas only."""
        if seed == 0 or generated.change is None:
            return generated
        return replace(generated, change=self._run_from_drag(table, 0).change)

    def _run_from_drag(self, table: Table, seed: int) -> Generated:
        """Run the stages from `drag` on."""
        self.start(table, seed)
        for step in range(len(table.steps)):
            self.denoise(table, step)
        return self.decode()

    def decode(self) -> Generated:
        """Run the last stage; the picture, and the flow where the bundle gives one, on the host."""
        with timed(self.timings, "decode", "stage"):
            self._stages.run("decode", self.tensors, self._supply)
            return self._generated()

    def _supply(self, name: str) -> np.ndarray:
        """Make a graph input from the photo, the mask or the points; the step's are there before a stage runs."""
        maker = self._photo_inputs if GRAPH_INPUTS[name].maker == "PhotoInputs" else self._drag_inputs
        with span(name, "input"):
            return getattr(maker, name)

    def _upload(self, values: np.ndarray) -> Array:
        with span("upload", "copy"):
            return self._stages.backend.upload(values.astype(np.float32, copy=False))

    def _noise_shape(self) -> tuple[int, ...] | None:
        h, w = self.mask.shape
        for _, graph in self._bundle.graphs():
            for tensor in graph.inputs:
                if tensor.name == "noise":
                    return tensor.concrete({"H": h, "W": w, "N": len(self.points)})
        return None

    def _generated(self) -> Generated:
        """The last stage's picture as an edit."""
        result, options = self._fetch("result"), self._bundle.manifest["inputs"]["image"]
        assert result is not None, "every bundle makes a result"
        with span("scale", "composite"):
            result = (result - options["low"]) / (options["high"] - options["low"])
            if (self.picture == self.picture[..., :1]).all():  # black and white: so is what is added
                result[:] = in_channels(result, 1)
        if not self._bundle.gives_flow:
            return Generated(result, None, None)
        if self._bundle.makes_flow:
            moved = Generated(None, self._fetch("flow"), self._fetch("revealed"))
        else:
            moved = replace(self.held.generated(self.picture), revealed=self.held.revealed)
        if moved.flow is None or moved.revealed is None:
            return replace(moved, result=result)
        with span("change", "composite"):
            change = generated_change(self.picture, self.points[:, 2:], result, moved.flow, moved.revealed)
            touch = None if moved.result is None else (result - moved.result) * deep(moved.revealed)
        return replace(moved, result=result, change=change, touch=touch)

    def _fetch(self, name: str) -> np.ndarray | None:
        """A [1, C, H, W] tensor on the host as float32 [H, W, C], or None where it was not made."""
        if name not in self.tensors:
            return None
        with span("download", "copy", tensor=name):
            planes = self._stages.backend.download(self.tensors[name])[0].astype(np.float32)
            return cv2.merge(list(planes)).reshape(*planes.shape[1:], -1)
