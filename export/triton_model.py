"""A drag as a model of Triton's Python backend. `edgedrag bundle triton` copies this file to 1/model.py.

It is imported by Triton alone, whose Python has to have edgedrag and one engine installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

import edgedrag
from edgedrag.runtime.errors import EdgedragError, EngineError


class TritonPythonModel:
    """One open runtime for each instance; Triton calls an instance from one thread at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the bundle beside this file, on the engine that config.pbtxt names."""
        parameters = json.loads(args["model_config"])["parameters"]
        engine = {name: parameters[name]["string_value"] for name in ("backend", "precision")}
        self._runtime = edgedrag.open(Path(__file__).parent / "bundle", **engine)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests; what is wrong with one does not touch the others."""
        return [self._answer(request) for request in requests]

    def finalize(self) -> None:
        """Give the engine back."""
        del self._runtime

    def _answer(self, request: Any) -> Any:
        try:
            given = {tensor.name(): _array(tensor) for tensor in request.inputs()}
            return pb_utils.InferenceResponse(self._edited(given))
        except EdgedragError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))

    def _edited(self, given: dict[str, np.ndarray]) -> list[Any]:
        """The outputs of a drag. Raises InputError as `Photo.drag` does."""
        photo = self._runtime.load(given["photo"])
        drags = [((x, y), (to_x, to_y)) for x, y, to_x, to_y in given["drags"].astype(float).tolist()]
        steps, seed = (int(given[name][0]) if name in given else None for name in ("steps", "seed"))
        edit = photo.drag(drags, given.get("mask"), steps=steps, seed=seed or 0)
        off = edit.checks.landing_error_px
        outputs = {
            "image": edit.image,
            "used_mask": edit.mask.astype(np.uint8) * 255,
            "verdict": np.array([edit.checks.verdict], object),
            "reasons": np.array([reason.code.value for reason in edit.checks.reasons], object),
            "landing_error_px": np.array([np.nan if off is None else off], np.float32),
        }
        return [pb_utils.Tensor(name, np.ascontiguousarray(values)) for name, values in outputs.items()]


def _array(tensor: Any) -> np.ndarray:
    """A tensor's values. Raises EngineError where the server hands over others, as one for NumPy 1 under NumPy 2."""
    values: np.ndarray = tensor.as_numpy()
    if tensor.name() == "drags" and not np.array_equal(values, np.from_dlpack(tensor)):
        raise EngineError(
            f"this server's Python backend was built for NumPy 1 and does not work with NumPy {np.__version__}; "
            "install numpy<2 in its Python"
        )
    return values
