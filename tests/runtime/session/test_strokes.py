"""Strokes of a brush on a photo: exact outside, one resampling, undone to the byte, protected parts stay."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.brush import BRUSHES, check_stroke, stroke_window
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.photo import Photo

ROW = [(120 + 4 * k, 150) for k in range(20)]


def as_form(rgb: np.ndarray, form: str) -> np.ndarray:
    """A photo as grey, with alpha or in 16 bits."""
    pixels = rgb if "grey" not in form else rgb[..., 1]
    if "alpha" in form:
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        ramp = np.linspace(0, 255, pixels.shape[1], dtype=np.uint8)
        pixels = np.concatenate([pixels, np.broadcast_to(ramp[None, :, None], (*pixels.shape[:2], 1))], -1)
    return pixels.astype(np.uint16) * 257 if "16" in form else pixels


def beyond(shape: tuple[int, ...], path: list[tuple[float, float]], radius: float) -> np.ndarray:
    """Where a brush did not come, bool [H, W]; beside it a pixel for its rounding."""
    apart = np.full(shape[:2], np.inf)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for (ax, ay), (bx, by) in pairwise(path):
        share = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2), 0, 1)
        apart = np.minimum(apart, np.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay)))
    return apart > radius + 1


@pytest.mark.parametrize("form", ["rgb", "rgb alpha", "grey", "grey alpha", "rgb 16", "rgb alpha 16"])
def test_a_stroke_changes_nothing_beyond_the_brush_and_undo_is_exact(
    runtime: edgedrag.Runtime, cat: np.ndarray, form: str
) -> None:
    before = as_form(cat, form)
    photo = runtime.load(before)
    steps = [photo.image]
    for brush in BRUSHES:
        change = photo.brush(brush, ROW, 30)
        steps.append(photo.image)
        changed = (steps[-1] != steps[-2]).reshape(*before.shape[:2], -1).any(-1)
        assert changed.any() and not changed[beyond(before.shape, ROW, 30)].any()
        inside = np.zeros_like(changed)
        inside[change.box] = True
        assert not changed[~inside].any() and change.image is photo.image
        assert steps[-1].dtype == before.dtype
        if "alpha" in form:
            assert np.array_equal(steps[-1][..., -1], before[..., -1])
    for pixels in steps[-2::-1]:
        photo.undo()
        assert np.array_equal(photo.image, pixels)
    for pixels in steps[1:]:
        photo.redo()
        assert np.array_equal(photo.image, pixels)
    photo.restore()
    assert np.array_equal(photo.image, before)


def test_a_push_carries_a_mark_to_the_end_of_the_stroke(runtime: edgedrag.Runtime) -> None:
    pixels = np.full((300, 400, 3), 90, np.uint8)
    cv2.circle(pixels, (120, 150), 5, (250, 250, 250), -1, cv2.LINE_AA)
    photo = runtime.load(pixels)
    photo.brush("push", ROW, 30)
    bright = photo.image[..., 0].astype(float) - 90
    rows, columns = np.mgrid[:300, :400]
    at = (bright * columns).sum() / bright.sum(), (bright * rows).sum() / bright.sum()
    assert np.hypot(at[0] - ROW[-1][0], at[1] - ROW[-1][1]) < 1
    assert bright[145:156, 115:126].max() < 20, "and it is not where it was"


def test_growing_and_shrinking_nearly_cancel(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    rests = [(200, 150)] * 6
    photo.brush("grow", rests, 50)
    grown = photo.image
    photo.brush("shrink", rests, 50)
    apart = [np.abs(image.astype(int) - cat).mean() for image in (grown, photo.image)]
    assert apart[1] < 0.12 * apart[0]
    window = stroke_window(check_stroke("grow", rests, 50, 1.0, *cat.shape[:2]), *cat.shape[:2])
    assert np.abs(photo.flow(window)).max() < 1


def test_strokes_resample_the_original_once(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """Pushed there and back ten times, a photo keeps its detail where it comes to lie as it was."""
    fine = np.random.default_rng(0).integers(60, 200, (200, 300, 3), dtype=np.uint8)
    photo = runtime.load(fine)
    for _ in range(5):
        photo.brush("push", [(100, 100), (125.5, 100)], 40)
        photo.brush("push", [(125.5, 100), (100, 100)], 40)
    part = np.s_[92:108, 92:108]
    detail = [cv2.Laplacian(image[part], cv2.CV_32F).var() for image in (fine, photo.image)]
    assert detail[1] > 0.8 * detail[0]


def test_smoothing_evens_out_a_drag_and_other_strokes(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    photo.drag([((200, 150), (215, 158))])
    photo.brush("push", ROW, 20)
    every = Window(0, 0, *cat.shape[:2], (75, 113))

    def energy() -> float:
        flow = photo.flow(every)
        return float(sum((np.diff(flow, axis=axis) ** 2).sum() for axis in (0, 1)))

    energies = [energy()]
    for _ in range(3):
        photo.brush("smooth", [(x, 150 + 12 * (-1) ** (x // 4)) for x in range(110, 240, 4)], 45)
        energies.append(energy())
    assert energies == sorted(energies, reverse=True) and energies[-1] < 0.5 * energies[0]


def test_a_drag_builds_on_a_stroke_and_a_stroke_on_a_drag(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    photo.brush("push", ROW, 30)
    photo.drag([((200, 150), (210, 158))])
    dragged = photo.image
    photo.brush("grow", ROW, 30)
    assert photo.undo_count == 3 and (photo.image != dragged).any()
    photo.undo()
    assert np.array_equal(photo.image, dragged)
    photo.restore()
    photo.brush("shrink", ROW, 30)
    photo.brush("shrink", ROW, 30)
    photo.undo()
    photo.undo()
    assert np.array_equal(photo.image, cat), "no stroke is taken for the reversal of another edit"


def test_what_is_protected_stays_and_the_stroke_fades_before_it(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    mask = np.zeros(cat.shape[:2], np.uint8)
    mask[:, 170:] = 255
    photo.protect(mask)
    for brush in ("push", "grow", "shrink", "smooth"):
        photo.brush(brush, ROW, 30)
    assert np.array_equal(photo.image[:, 170:], cat[:, 170:]) and (photo.image != cat).any()
    photo.protect(np.ones(cat.shape[:2]))
    with pytest.raises(edgedrag.InputError, match="protected"):
        photo.brush("push", ROW, 30)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"path": [(100, 100)]}, "a push moves nothing where it begins"),
        ({"brush": "smooth"}, "no edit moved anything where this stroke goes"),
        ({"brush": "blur"}, "'blur' is none"),
        ({"path": [(1, 1), None]}, "give a list of"),
        ({"radius": -3}, "radius: -3"),
        ({"path": [(-31, 100), (-40, 100)]}, "does not touch the photo"),
    ],
    ids=str,
)
def test_a_stroke_that_cannot_be_made_changes_nothing(
    runtime: edgedrag.Runtime, cat: np.ndarray, given: dict[str, Any], says: str
) -> None:
    photo = runtime.load(cat)
    with pytest.raises(edgedrag.InputError, match=says):
        photo.brush(**{"brush": "push", "path": ROW, "radius": 30, **given})
    assert photo.undo_count == 0 and photo.image is photo.picture.pixels and np.array_equal(photo.image, cat)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 5)])
def test_odd_photos_and_huge_brushes(runtime: edgedrag.Runtime, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    photo, made = runtime.load(pixels), 0
    for brush in BRUSHES:
        for radius in (1, max(shape)):
            try:
                photo.brush(brush, [(0, 0), (max(shape) * 2, 1)], radius)
            except edgedrag.InputError:
                continue  # too little to move any pixel
            made += 1
    assert photo.undo_count == made
    photo.restore()
    assert np.array_equal(photo.image, pixels)


def test_a_stroke_that_leaves_the_photo_and_one_of_very_many_points(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    photo.brush("push", [(430, 150), (500, 150), (430, 180)], 40)
    turn = np.linspace(0, 40, 10_000)
    photo.brush("push", np.stack([220 + 60 * np.cos(turn), 150 + 60 * np.sin(turn)], 1), 25)
    assert photo.undo_count == 2 and (photo.image != cat).mean() > 0.1


def test_at_twelve_megapixels_only_the_window_around_a_stroke_is_computed(runtime: edgedrag.Runtime) -> None:
    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8), (4000, 3000))
    photo = runtime.load(pixels)
    for brush in BRUSHES:
        before = photo.image.copy()
        change = photo.brush(brush, [(1500, 1500), (1900, 1600)], 130)
        assert all(part.stop - part.start < 400 + 2 * 132 for part in change.box)
        before[change.box] = photo.image[change.box]
        assert np.array_equal(photo.image, before)


def test_at_the_limit_of_the_stack_strokes_go_on_and_it_stays_bounded(
    runtime: edgedrag.Runtime, cat: np.ndarray
) -> None:
    photo = Photo(runtime, edgedrag.load_picture(cat), undo_limit=3)
    for _ in range(3):
        photo.brush("grow", ROW, 30)
    smoothed = 0
    with pytest.raises(edgedrag.InputError, match="no edit moved anything"):
        for smoothed in range(20):
            photo.brush("smooth", [(x, y - smoothed) for x, y in ROW], 30 - smoothed)
    assert smoothed > 1 and photo.undo_count == 3
    photo.brush("grow", ROW, 30)
    photo.brush("smooth", ROW, 30)
