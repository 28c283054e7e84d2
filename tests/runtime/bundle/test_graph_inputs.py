"""The table of graph inputs against what makes them and what the manifest's checks refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import rewrite_manifest

from edgedrag.runtime.bundle.graph_inputs import (
    GRAPH_INPUTS,
    PHOTO_AND_MASK_INPUTS,
    STEP_INPUTS,
    declared_shape,
    is_supplied,
)
from edgedrag.runtime.bundle.graphs import STAGES, concrete_shape
from edgedrag.runtime.bundle.manifest import open_bundle
from edgedrag.runtime.drag.inputs import DragInputs, PhotoInputs
from edgedrag.runtime.errors import BundleError

OPTIONS = {"image": {"low": -1.0, "high": 1.0}, "clip_image": {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}}
SIZES = {"H": 64, "W": 96, "N": 2, "S": 32}


def make_inputs(points: np.ndarray, mask: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Every input of the table that is not the step's or the hold's."""
    picture = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    photo = PhotoInputs(OPTIONS, picture)
    makers = {"PhotoInputs": photo, "DragInputs": DragInputs(photo, mask, points)}
    return {
        n: getattr(makers[row.maker], n) for n, row in GRAPH_INPUTS.items() if row.maker not in ("DragRun", "HoldRun")
    }


POINTS = np.array([[30, 20, 50, 25], [40, 40, 35, 50]], np.float32)
MASK = np.zeros((64, 96), bool)
MASK[8:56, 8:80] = True


def test_inputs_have_the_shape_of_the_table() -> None:
    for name, values in make_inputs(POINTS, MASK).items():
        shape = GRAPH_INPUTS[name].shape
        assert shape is not None and values.shape == concrete_shape(shape, SIZES), name
        assert values.dtype == np.float32, name


@pytest.mark.parametrize("source", ["photo", "mask", "points"])
def test_inputs_depend_on_what_the_table_says(source: str) -> None:
    before = make_inputs(POINTS, MASK)
    other_mask = MASK.copy()
    other_mask[20:40, 30:] = False
    after = {
        "photo": lambda: make_inputs(POINTS, MASK, seed=1),
        "mask": lambda: make_inputs(POINTS, other_mask),
        "points": lambda: make_inputs(POINTS + 4, MASK),
    }[source]()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    stated = {name for name in before if source in GRAPH_INPUTS[name].depends_on}
    if source == "photo":
        stated -= {"flow", "revealed"}  # through what is held, which is not looked for here
    assert changed == stated


def test_the_classes_make_what_the_table_lists_and_nothing_else() -> None:
    for maker in (PhotoInputs, DragInputs):
        made = {name for name in vars(maker) if not name.startswith("_") and name != "held"}
        assert made == {name for name, row in GRAPH_INPUTS.items() if row.maker == maker.__name__}


def test_inputs_of_the_step_are_for_drag_and_denoise() -> None:
    assert STEP_INPUTS == {"noise", "coefficients", "timestep", "guidance"}
    assert PHOTO_AND_MASK_INPUTS == {"image", "clip_image", "mask", "masked_image"}
    assert [stage for stage in STAGES if is_supplied("noise", stage)] == ["drag", "denoise"]
    assert [stage for stage in STAGES if is_supplied("timestep", stage)] == ["denoise"]
    assert [stage for stage in STAGES if is_supplied("image", stage)] == list(STAGES)
    assert [stage for stage in STAGES if is_supplied("point", stage)] == ["hold"]
    assert [stage for stage in STAGES if is_supplied("points", stage)] == ["drag", "denoise", "decode"]
    assert not is_supplied("secret", "drag")


@pytest.mark.parametrize(
    ("stage", "graph", "position", "shape"),
    [
        ("reference", 0, 0, [1, 3, "H/8", "W/8"]),  # image
        ("reference", 0, 0, [1, 3, 64, 64]),
        ("reference", 1, 0, [1, 3, 64, 64]),  # clip_image, of 32
        ("drag", 1, 0, [1, 2, "H", "W"]),  # handle_map
        ("drag", 2, 2, [1, 3]),  # coefficients
    ],
)
def test_a_shape_that_the_runtime_does_not_make_is_refused(
    toy: Path, stage: str, graph: int, position: int, shape: list[int | str]
) -> None:
    rewrite_manifest(toy, lambda m: m["stages"][stage][graph]["inputs"][position].update(shape=shape))
    with pytest.raises(BundleError, match="the runtime makes"):
        open_bundle(toy)


def test_a_shape_in_numbers_is_accepted_where_it_is_that_of_every_window(toy: Path) -> None:
    size = open_bundle(toy).sizes[0]

    def in_numbers(manifest: dict) -> None:
        manifest["window"]["sizes"] = [list(size)]
        manifest["stages"]["drag"][0]["inputs"][0]["shape"] = [1, 3, *size]

    rewrite_manifest(toy, in_numbers)
    open_bundle(toy)


def test_shapes_that_are_the_bundle_s_choice() -> None:
    assert declared_shape("points") == [1, "N", 4]
    for name in ("noise", "clip_image"):
        with pytest.raises(ValueError, match=name):
            declared_shape(name)
