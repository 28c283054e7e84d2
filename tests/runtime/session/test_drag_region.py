"""The region of a drag: in a large photo it is looked up, and is the same but for its edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.photo.window import Window, window_around
from edgedrag.runtime.session.generator_size import mask_to_generator_size
from edgedrag.runtime.session.history import Start
from edgedrag.runtime.session.region import LARGE, Region

SHAPE = (1500, 2000)
POINTS = np.array([[900, 700, 1100, 760]], np.float32)
WINDOWS = [Window(0, 0, 1500, 2000, (192, 256)), Window(384, 640, 768, 768, (256, 256))]


def region(protected: np.ndarray | None = None) -> Region:
    low = np.zeros((192, 256), np.uint8)
    cv2.ellipse(low, (128, 94), (30, 22), 20, 0, 360, 1, -1)
    return Region(SHAPE, low, Start(np.zeros((*SHAPE, 3), np.uint8), (), POINTS)).without(protected)


def near(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mask, a pixel smaller and a pixel larger."""
    kernel, grey = np.ones((3, 3), np.uint8), mask.astype(np.uint8)
    return cv2.erode(grey, kernel) > 0, cv2.dilate(grey, kernel) > 0


@pytest.mark.parametrize("window", WINDOWS, ids=["all of the photo", "a part"])
@pytest.mark.parametrize("protects", [False, True])
def test_what_is_looked_up_differs_from_the_mask_at_its_edge_alone(window: Window, protects: bool) -> None:
    protected = None
    if protects:
        protected = np.zeros(SHAPE, bool)
        protected[720:, 950:] = True
    found = region(protected)
    assert np.prod(SHAPE) >= LARGE
    looked_up, exact = found.in_window(window), mask_to_generator_size(found.mask[window.box], window.size)
    inner, outer = near(exact)
    assert looked_up.dtype == bool and (inner <= looked_up).all() and (looked_up <= outer).all()
    assert (looked_up == exact).mean() > 0.98


def test_its_box_holds_the_mask_and_its_window_is_that_of_the_mask() -> None:
    found = region()
    outside = found.mask.copy()
    outside[found.box] = False
    assert not outside.any()
    sizes = [(256, 256), (192, 256)]
    box = box_of(found.mask)
    assert window_around(found.box, SHAPE, POINTS, 0.06, sizes) == window_around(box, SHAPE, POINTS, 0.06, sizes)


def test_all_protected_is_refused_at_both_sizes() -> None:
    found = region(np.ones(SHAPE, bool))
    for look in (lambda: found.in_window(WINDOWS[0]), lambda: found.mask):
        with pytest.raises(edgedrag.InputError, match="protected"):
            look()


def test_a_preview_of_a_large_photo_has_the_area_and_the_motion_of_the_edit(runtime: edgedrag.Runtime) -> None:
    small = np.random.default_rng(1).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    photo = runtime.load(cv2.resize(small, SHAPE[::-1], interpolation=cv2.INTER_CUBIC))
    drags = [(tuple(POINTS[0, :2].tolist()), tuple(POINTS[0, 2:].tolist()))]
    motion = photo.motion(drags)
    edit = photo.drag(drags)
    assert np.array_equal(motion.region, edit.mask) and not (edit.image != edit._before)[~edit.mask].any()
    made = edit._generated
    assert motion.window == edit._window and made.flow is not None
    moved = motion.mask if made.revealed is None else motion.mask & (made.revealed[..., 0] <= 0.5)
    assert moved.any() and np.allclose(motion.flow[moved], (made.flow * motion.window.scale)[moved])
