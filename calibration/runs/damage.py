"""The error of edits made with changed graphs, against the same edits in fp32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgedrag.calibration.runs.drags import CalibrationDrag
from edgedrag.calibration.runs.workbench import Listener, Place, Workbench
from edgedrag.export.parity import snr_db
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.backends.base import Array, CompiledGraph
from edgedrag.runtime.photo.picture import as_rgb8
from edgedrag.runtime.session.edit import Edit

AROUND = 32  # margin around the mask in the input of ST-LPIPS, pixels


@dataclass(frozen=True)
class Damage:
    """Error of edits against fp32, in the mask: means over the edits.

    Attributes:
        psnr_db: of the final picture; at most 68.
        worst_db: the lowest PSNR of an edit.
        stlpips: of the final picture; None if not measured.
        snr_db: of the changed graphs' outputs, the lowest of the graphs' means over all runs; 200 if equal.
    """

    psnr_db: float
    worst_db: float
    stlpips: float | None
    snr_db: float


class Trial:
    """Drags and their fp32 edits, to be compared with the edits of other graphs."""

    def __init__(self, bench: Workbench, drags: Sequence[CalibrationDrag], stlpips: STLPIPS):
        self._bench, self._drags, self._ruler = bench, drags, stlpips
        self._outputs: dict[str, list[dict[str, np.ndarray]]] = {}
        for (name, _), slot in bench.slots.items():
            slot.listener = self._keep(self._outputs.setdefault(name, []))
        self._edits = [edit for drag in drags for edit in drag.run(bench.runtime)]
        bench.restore()

    def measure(self, graphs: Mapping[Place, CompiledGraph], perceptual_from: float = math.inf) -> Damage:
        """The error with these graphs in place of the bundle's; ST-LPIPS is measured if the PSNR reaches a limit."""
        noises: dict[str, list[float]] = {name: [] for name, _ in graphs}
        for place, graph in graphs.items():
            self._bench.slots[place].substitute = graph
            self._bench.slots[place].listener = self._compare(self._outputs[place[0]], noises[place[0]])
        edits = [edit for drag in self._drags for edit in drag.run(self._bench.runtime)]
        self._bench.restore()
        psnr = [psnr_in_mask(edit.image, true.image, true.mask) for edit, true in zip(edits, self._edits)]
        mean = round(float(np.mean(psnr)), 3)
        near = mean >= perceptual_from
        distances = [self._distance(edit, true) for edit, true in zip(edits, self._edits)] if near else []
        return Damage(
            mean,
            round(min(psnr), 3),
            round(float(np.mean(distances)), 5) if near else None,
            round(min((float(np.mean(of_graph)) for of_graph in noises.values() if of_graph), default=200.0), 2),
        )

    def _keep(self, outputs: list[dict[str, np.ndarray]]) -> Listener:
        return lambda _, found: outputs.append(self._bench.download(found))

    def _compare(self, outputs: list[dict[str, np.ndarray]], noises: list[float]) -> Listener:
        def compare(_: Mapping[str, Array], tensors: Mapping[str, Array]) -> None:
            true, values = outputs[len(noises)], self._bench.download(tensors)
            noises.append(min(snr_db(true[name], values[name]) for name in true))

        return compare

    def _distance(self, edit: Edit, true: Edit) -> float:
        box = around(true.mask)
        one, other = (self._ruler.features(as_rgb8(image[box])) for image in (edit.image, true.image))
        return self._ruler.in_mask(one, other, true.mask[box])


def around(mask: np.ndarray) -> tuple[slice, slice]:
    """The mask's bounding box, AROUND pixels larger at each side, clipped to the picture."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return tuple(slice(max(0, int(n[0]) - AROUND), int(n[-1]) + 1 + AROUND) for n in (rows, columns))  # type: ignore[return-value]
