"""The inputs that the runtime makes for graphs. This table is the only list of them.

The bundle's checks, the runtime and the export read it; the table in docs/bundle.md is written from it by
`python tools/graph_inputs_table.py`. All are float32 where a graph does not declare another type; batch 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgedrag.runtime.bundle.graphs import DRAG_STAGES, HOLD

Source = Literal["photo", "point", "mask", "points", "step"]
Maker = Literal["PhotoInputs", "HoldRun", "DragInputs", "DragRun"]


@dataclass(frozen=True)
class GraphInput:
    """An input that the runtime makes.

    Attributes:
        shape: sizes as in `Tensor.shape`, with S for the manifest's `inputs.clip_image.size`; None as a graph
            declares it.
        stage: the first stage that may take it.
        depends_on: what its values depend on; "step" is a row of the sampler's table, or the seed's noise for it.
        meaning: what it holds, in Markdown, for docs/bundle.md.
    """

    name: str
    shape: tuple[int | str, ...] | None
    stage: str
    depends_on: frozenset[Source]
    meaning: str

    @property
    def maker(self) -> Maker:
        """The class that makes it: of runtime/drag/inputs.py, or a run in runtime/hold/ or runtime/drag/."""
        if "step" in self.depends_on:
            return "DragRun"
        if "point" in self.depends_on:
            return "HoldRun"
        return "PhotoInputs" if self.depends_on == {"photo"} else "DragInputs"

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that may take it; `hold` has no drag, and `decode` no step."""
        if "point" in self.depends_on:
            return (HOLD,)
        end = DRAG_STAGES.index("decode") if "step" in self.depends_on else len(DRAG_STAGES)
        of_drag = DRAG_STAGES[DRAG_STAGES.index(self.stage) : end]
        return (*of_drag, HOLD) if self.depends_on == {"photo"} else of_drag


def _row(
    name: str, shape: tuple[int | str, ...] | None, stage: str, depends_on: tuple[Source, ...], meaning: str
) -> GraphInput:
    return GraphInput(name, shape, stage, frozenset(depends_on), meaning)


GRAPH_INPUTS: dict[str, GraphInput] = {
    row.name: row
    for row in (
        _row(
            "image",
            (1, 3, "H", "W"),
            "reference",
            ("photo",),
            "the window, in `hold` the whole photo, RGB, scaled to `inputs.image` low..high",
        ),
        _row("point", (1, 2), HOLD, ("point",), "x, y of the point in pixels of `image`; for `hold` alone"),
        _row(
            "clip_image",
            (1, 3, "S", "S"),
            "reference",
            ("photo",),
            "the window in 0..1, less mean, over std, as `inputs.clip_image` says. `fit` is how it becomes S x S: "
            "`crop` resizes the short side to S (Pillow's bicubic, long side rounded down) and takes the centre; "
            "`stretch`, and no `fit`, averages the whole window into the square",
        ),
        _row("mask", (1, 1, "H", "W"), "drag", ("mask",), "1 = may change"),
        _row("masked_image", (1, 3, "H", "W"), "drag", ("photo", "mask"), "`image` with 0 where the mask is 1"),
        _row(
            "handle_map",
            (1, 1, "H", "W"),
            "drag",
            ("points",),
            "the drag's number, from 1, at the pixel of its handle; a later one overwrites",
        ),
        _row("target_map", (1, 1, "H", "W"), "drag", ("points",), "the same at the pixel of its target"),
        _row("points", (1, "N", 4), "drag", ("points",), "handle x, y, target x, y in generator pixels"),
        _row(
            "flow",
            (1, 2, "H", "W"),
            "drag",
            ("photo", "mask", "points"),
            "backward flow in generator pixels, x then y, of what the drags hold: the result at p shows the window at "
            "p + flow(p) (`runtime/drag/motion.py`); where something is revealed, of the ground behind",
        ),
        _row(
            "revealed",
            (1, 1, "H", "W"),
            "drag",
            ("photo", "mask", "points"),
            "0..1, 1 where that motion shows nothing real, but the ground behind what moved",
        ),
        _row(
            "noise",
            None,
            "drag",
            ("step",),
            "standard normal, see `runtime/sampling/noise.py`: row 0 in `drag`, row i + 1 in step i",
        ),
        _row(
            "coefficients",
            (3,),
            "drag",
            ("step",),
            "a, b, c of the sampler's row: the start's in `drag`, the step's in `denoise`",
        ),
        _row("timestep", (1,), "denoise", ("step",), "of the step"),
        _row("guidance", (1,), "denoise", ("step",), "scale of the guidance pair in the step"),
    )
}

STEP_INPUTS = frozenset(row.name for row in GRAPH_INPUTS.values() if "step" in row.depends_on)
PHOTO_AND_MASK_INPUTS = frozenset(row.name for row in GRAPH_INPUTS.values() if row.depends_on <= {"photo", "mask"})


def is_supplied(name: str, stage: str) -> bool:
    """Whether the runtime makes an input of that name for a graph of that stage."""
    return name in GRAPH_INPUTS and stage in GRAPH_INPUTS[name].stages


def declared_shape(name: str) -> list[int | str]:
    """The shape of an input as a manifest declares it, for inputs whose shape no bundle chooses."""
    shape = GRAPH_INPUTS[name].shape
    if shape is None or "S" in shape:
        raise ValueError(f"the shape of '{name}' is the bundle's choice")
    return list(shape)
