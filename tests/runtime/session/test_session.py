"""One drag and many, on the shipped bundle and on one of LightningDrag's shape."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import edgedrag
from edgedrag.runtime.drag.motion import MotionName
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.sampling.noise import normal
from edgedrag.runtime.sampling.sampler import make_table

DRAG = [((265.0, 240.0), (245.0, 250.0))]


def oval(shape: tuple[int, ...], centre: tuple[int, int] = (250, 235), radius: int = 60) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2


def test_outside_the_mask_is_exact_and_inside_changes(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    mask = oval(cat.shape)
    edit = runtime.load(cat).drag(DRAG, mask)
    assert edit.image.shape == cat.shape and edit.image.dtype == cat.dtype
    assert np.array_equal(edit.image[~mask], cat[~mask])
    assert np.abs(edit.image[mask].astype(int) - cat[mask]).mean() > 1
    assert edit.flow is not None and edit.flow.shape == (*cat.shape[:2], 2)
    assert not edit.flow[~mask].any()
    assert np.array_equal(edit.mask, mask)
    assert set(edit.timings) == {"reference", "drag", "denoise", "decode", "composite", "total"}


def test_a_black_and_white_photo_stays_so(cat: np.ndarray) -> None:
    grey = np.repeat(cv2.cvtColor(cat, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    edit = edgedrag.open().load(grey).drag([((210, 240), (235, 228))])
    assert not np.array_equal(edit.image, grey)
    assert (edit.image == edit.image[..., :1]).all()


@pytest.mark.parametrize("form", ["grey", "grey_alpha", "rgba", "deep", "deep_grey"])
def test_every_picture_form(runtime: edgedrag.Runtime, cat: np.ndarray, form: str) -> None:
    alpha = np.random.default_rng(0).integers(0, 255, (*cat.shape[:2], 1), dtype=np.uint8)
    photo = {
        "grey": cat[..., 0],
        "grey_alpha": np.concatenate([cat[..., :1], alpha], -1),
        "rgba": np.concatenate([cat, alpha], -1),
        "deep": cat.astype(np.uint16) * 257,
        "deep_grey": cat[..., 0].astype(np.uint16) * 257,
    }[form]
    mask = oval(cat.shape)
    edit = runtime.load(photo).drag(DRAG, mask)
    assert edit.image.shape == photo.shape and edit.image.dtype == photo.dtype
    assert np.array_equal(edit.image[~mask], photo[~mask])
    assert not np.array_equal(edit.image, photo)
    if "alpha" in form or form == "rgba":
        assert np.array_equal(edit.image[..., -1], photo[..., -1])


def test_twelve_megapixels_stay_exact_outside(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = np.tile(cat, (10, 9, 1))[:3000, :4000]
    mask = oval(photo.shape, (2000, 1500), 300)
    edit = runtime.load(photo).drag([((2000, 1500), (2080, 1500))], mask)
    assert np.array_equal(edit.image[~mask], photo[~mask])
    assert not np.array_equal(edit.image[mask], photo[mask])


@pytest.mark.parametrize("shape", [(2, 1), (5, 3), (40, 900), (64, 64)])
def test_odd_photos(runtime: edgedrag.Runtime, shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    edit = runtime.load(photo).drag([((0, 0), (shape[1] - 1, shape[0] - 1))])
    assert edit.image.shape == photo.shape


def test_same_seed_same_bytes(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    edits = [runtime.load(cat).drag(DRAG, oval(cat.shape), seed=5, steps=2).image for _ in range(2)]
    assert np.array_equal(*edits)
    fresh = edgedrag.open().load(cat).drag(DRAG, oval(cat.shape), seed=5, steps=2).image
    assert np.array_equal(edits[0], fresh)


def test_no_mask_gives_one_back(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    edit = runtime.load(cat).drag(DRAG)
    assert edit.mask[240, 265] and 0.001 < edit.mask.mean() < 0.9
    assert np.array_equal(edit.image[~edit.mask], cat[~edit.mask])
    held = runtime.load(cat).hold(DRAG[0][0]).answer("thing")
    assert edit.mask[held.on_photo() > 0.1].all(), "all that is held may move"
    corrected = runtime.load(cat).drag(DRAG, edit.mask)
    assert np.array_equal(corrected.mask, edit.mask) and np.array_equal(corrected.image[~edit.mask], cat[~edit.mask])


@pytest.mark.parametrize("motion", ["whole", "bend", "stretch"])
def test_a_motion_that_is_asked_for_is_the_edits(
    runtime: edgedrag.Runtime, cat: np.ndarray, motion: MotionName
) -> None:
    for mask in (None, oval(cat.shape)):
        assert runtime.load(cat).drag(DRAG, mask, motion=motion).motion == motion


def test_a_pin_stays_and_pins_alone_are_refused(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    pin = ((300.0, 240.0), (300.0, 240.0))
    mask = oval(cat.shape)
    free, pinned = (runtime.load(cat).preview(drags, mask) for drags in (DRAG, [*DRAG, pin]))
    near = np.s_[236:245, 296:305]
    assert np.abs(pinned[near].astype(int) - cat[near]).mean() < np.abs(free[near].astype(int) - cat[near]).mean()
    with pytest.raises(edgedrag.InputError, match="ends where it begins"):
        runtime.load(cat).drag([pin], mask)


def test_a_preview_shows_the_motion_of_the_result(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    """The same area and the same motion: they differ by what the generator adds."""
    long = [((265.0, 240.0), (190.0, 262.0))]
    photo = runtime.load(cat)
    motion, shown = photo.motion(long), photo.preview(long)
    edit = photo.drag(long)
    assert np.array_equal(motion.region, edit.mask) and np.array_equal(shown[~edit.mask], edit.image[~edit.mask])
    assert np.abs(shown.astype(int) - edit.image).mean() < 2


def test_undo_redo_and_building_on_the_last_result(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    one = photo.drag(DRAG, oval(cat.shape)).image
    two = photo.drag([((170, 120), (180, 125))], oval(cat.shape, (170, 120))).image
    assert not np.array_equal(one, two)
    kept = one.copy()
    assert np.array_equal(photo.undo().image, one)
    assert np.array_equal(photo.undo().image, cat)
    with pytest.raises(edgedrag.InputError, match="nothing to undo"):
        photo.undo()
    assert np.array_equal(photo.redo().image, one)
    assert np.array_equal(photo.redo().image, two)
    with pytest.raises(edgedrag.InputError, match="nothing to redo"):
        photo.redo()
    photo.undo()
    photo.drag(DRAG, oval(cat.shape))
    with pytest.raises(edgedrag.InputError, match="nothing to redo"):
        photo.redo()
    assert np.array_equal(one, kept), "arrays that were handed out stay as they are"


def test_the_loop_is_a_generator_and_closing_it_cancels(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    progress = photo.drag_steps(DRAG, oval(cat.shape), steps=3)
    assert [next(progress).step, next(progress).step] == [0, 1]
    progress.close()
    assert np.array_equal(photo.image, cat)
    with pytest.raises(edgedrag.InputError):
        photo.undo()


def test_a_drag_does_not_overwrite_one_that_came_between(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    slow = photo.drag_steps(DRAG, oval(cat.shape), steps=1)
    next(slow)
    between = photo.drag([((170, 120), (180, 125))], oval(cat.shape, (170, 120))).image
    with pytest.raises(edgedrag.InputError, match="changed while this drag ran"):
        next(slow)
    assert np.array_equal(photo.image, between)


def test_reference_is_shared_by_drags_on_the_same_pixels(
    runtime: edgedrag.Runtime, cat: np.ndarray, stages_run: list[str]
) -> None:
    photo = runtime.load(cat)
    photo.preview(DRAG, oval(cat.shape))
    photo.drag(DRAG, oval(cat.shape))
    photo.undo()
    photo.drag([((240, 240), (250, 220))], oval(cat.shape, radius=57))
    assert stages_run.count("reference") == 1
    photo.drag(DRAG, oval(cat.shape))
    assert stages_run.count("reference") == 2, "the pixels are the last edit's now"


def test_a_motion_is_what_the_preview_warps_by(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, mask = runtime.load(cat), oval(cat.shape)
    motion = photo.motion(DRAG, mask)
    height, width = cat[motion.window.box].shape[:2]
    flow = cv2.resize(motion.flow, (width, height))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(cat[motion.window.box], flow[..., 0] + x, flow[..., 1] + y, cv2.INTER_CUBIC)
    off = np.abs(moved.astype(int) - photo.preview(DRAG, mask)[motion.window.box])[mask[motion.window.box]]
    assert np.quantile(off, 0.95) <= 3
    assert motion.mask.shape == motion.flow.shape[:2] and np.array_equal(photo.image, cat)


def test_a_move_makes_the_preview_an_edit(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo, mask = runtime.load(cat), oval(cat.shape)
    shown = photo.preview(DRAG, mask)
    edit = photo.move(DRAG, mask)
    assert np.array_equal(edit.image, shown) and np.array_equal(photo.image, shown) and edit.steps == 0
    assert edit.checks.verdict in ("good", "doubtful", "bad") and edit.checks.landing_error_px is not None
    assert np.array_equal(photo.undo().image, cat) and np.array_equal(photo.redo().image, shown)


def test_preview_shows_the_motion_and_changes_nothing(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    mask = oval(cat.shape)
    preview = photo.preview(DRAG, mask)
    assert np.array_equal(preview[~mask], cat[~mask]) and not np.array_equal(preview, cat)
    assert np.array_equal(photo.image, cat)


def test_bad_requests_change_nothing(runtime: edgedrag.Runtime, cat: np.ndarray, tmp_path: Path) -> None:
    photo = runtime.load(cat)
    bad = [
        dict(drags=[]),
        dict(drags=DRAG, mask=np.zeros(cat.shape[:2])),
        dict(drags=DRAG, mask=np.ones((3, 3))),
        dict(drags=DRAG, mask=~oval(cat.shape)),
        dict(drags=DRAG, mask=tmp_path / "none.png"),
        dict(drags=DRAG, steps=0),
        dict(drags=DRAG, steps=10_000),
        dict(drags=DRAG, seed=-1),
        dict(drags=DRAG, seed=2**64),
    ]
    for request in bad:
        with pytest.raises(edgedrag.InputError):
            photo.drag(**request)  # type: ignore[arg-type]
    assert np.array_equal(photo.image, cat)


def test_a_bundle_without_flow_runs_the_same_path(toy: Path, cat: np.ndarray) -> None:
    runtime = edgedrag.open(toy)
    mask = oval(cat.shape)
    photo = runtime.load(cat)
    preview = photo.preview(DRAG, mask)
    assert np.array_equal(preview[~mask], cat[~mask]) and not np.array_equal(preview, cat)
    edit = photo.drag(DRAG, mask)
    assert edit.flow is None and edit.steps == 4
    assert np.array_equal(edit.image[~mask], cat[~mask])


def test_guidance_pair_runs_where_the_scale_is_off_one(toy: Path) -> None:
    """The whole loop against the toy's arithmetic, by hand: noise rows, coefficients, branches."""
    runtime = edgedrag.open(toy)
    colour = np.array([150, 140, 160], np.uint8)
    photo = np.full((128, 128, 3), colour)
    mask = np.ones((128, 128), bool)
    table = make_table(runtime.bundle.sampler, 8)
    run = DragRun(runtime.bundle, runtime.stages, photo, mask, np.array([[60.0, 60, 70, 60]]))
    made = run.run(table, seed=3).result
    assert abs(table.guidance[-1] - 1) < 0.05 < table.guidance[-2] - 1, "both branches are used"
    seen = (colour / 127.5 - 1)[:, None, None]
    x = table.start[0] * seen + table.start[2] * normal(3, 0, (1, 3, 16, 16)).astype(np.float64)
    for i, (a, b, c) in enumerate(table.steps):
        guided = table.guidance[i] if i < 7 else 1.0
        x = a * x + b * 0.5 * guided * x + c * normal(3, i + 1, (1, 3, 16, 16))
    expected = np.clip(x[0].transpose(1, 2, 0), -1, 1)
    assert made is not None
    np.testing.assert_allclose(made[4::8, 4::8] * 2 - 1, expected, atol=2e-4)
