from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import edge_fade, warp
from edgedrag.runtime.drag.ground import Ground
from edgedrag.runtime.drag.measures import (
    detail,
    distortion,
    landings,
    measure,
    seam,
    slope_of,
    spread,
    tears,
    worst_place,
)
from edgedrag.runtime.drag.reasons import Reason, ReasonCode
from edgedrag.runtime.photo.window import Window


def textured(size: int = 256) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (size // 4, size // 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def shifted(picture: np.ndarray, dx: float, dy: float) -> np.ndarray:
    return warp(picture, np.broadcast_to(np.array([-dx, -dy], np.float32), (*picture.shape[:2], 2)))


POINTS = np.array([[100, 120, 130, 110]], np.float32)
SOUND = Generated(None, None, None)
NONSENSE = Generated(np.full((256, 256, 3), np.nan, np.float32), None, None)
EVERYWHERE = np.ones((256, 256), bool)


def test_content_that_arrived() -> None:
    before = textured()
    checks = check(before, shifted(before, 30, -10), EVERYWHERE, POINTS, pixel=2.0, made=SOUND)
    assert (checks.verdict, checks.landing_error_px, checks.reasons) == ("good", 0.0, ())


def test_targets_outside_the_mask_are_said() -> None:
    """What arrived at the mask's edge is as it should be; beyond it nothing may change."""
    before, mask = textured(), EVERYWHERE.copy()
    mask[:, 128:] = False
    after = np.where(mask[..., None], shifted(before, 30, -10), before)
    checks = check(before, after, mask, POINTS, 1.0, SOUND)
    assert checks.verdict != "good" and checks.reasons[0].code is ReasonCode.OUTSIDE_MASK
    left, top, right, bottom = checks.reasons[0].box or (0, 0, 0, 0)
    assert left <= 130 < right and top <= 110 < bottom
    mask[:, 128:131] = True
    assert ReasonCode.OUTSIDE_MASK not in {r.code for r in check(before, after, mask, POINTS, 1.0, SOUND).reasons}


def test_content_that_stayed_or_stopped_short() -> None:
    before = textured()
    stayed, arrived = (landings(before, after, POINTS)[0] for after in (before, shifted(before, 30, -10)))
    assert stayed is not None and stayed.error == np.hypot(30, 10)
    assert arrived is not None and arrived.error == 0 and arrived.changed < 0.01
    other = landings(before, 255 - before, POINTS)[0]
    assert other is not None and other.changed > 0.4, "nothing there looks like the handle"
    still = check(before, before, EVERYWHERE, POINTS, 1.0, SOUND)
    assert (still.verdict, still.risk) == ("bad", 1) and still.reasons[0].code is ReasonCode.MISSED
    short = check(before, shifted(before, 8, -10), EVERYWHERE, POINTS, 2.0, SOUND)
    assert (short.verdict, short.landing_error_px) == ("doubtful", 44.0)
    assert short.reasons == (Reason(ReasonCode.MISSED, {"pixels": 44}),)
    left, top, right, bottom = short.reasons[0].box or (0, 0, 0, 0)
    assert left <= 130 < right and top <= 110 < bottom, "where the content should be"
    assert 0 < short.risk < 1 and short.measures["landing"] == 22


def test_flat_content_cannot_be_judged() -> None:
    flat = np.full((256, 256, 3), 90, np.uint8)
    checks = check(flat, flat, EVERYWHERE, POINTS, 1.0, SOUND)
    assert (checks.verdict, checks.landing_error_px) == ("doubtful", None)


def test_points_at_the_border() -> None:
    before = textured()
    corners = np.array([[0, 0, 255, 255], [255, 0, 255.4, 3]], np.float32)
    assert len(landings(before, before, corners)) == 2


def test_seam() -> None:
    before = textured()
    mask = np.zeros((256, 256), bool)
    mask[60:200, 60:200] = True
    pasted = np.where(mask[..., None], 255 - before, before)
    assert seam(before, before, mask)[0] == 0
    assert seam(before, pasted, mask)[0] > 10
    judged = check(before, pasted, mask, POINTS, 1.0, SOUND)
    assert judged.verdict == "bad" and Reason(ReasonCode.SEAM) in judged.reasons
    half = mask.copy()
    half[:, :130] = False  # only the right half is pasted, and only there is the seam
    found = check(before, np.where(half[..., None], pasted, before), half, POINTS, 1.0, SOUND)
    where = next(reason.box for reason in found.reasons if reason.code is ReasonCode.SEAM)
    assert where is not None and where[0] > 110


def test_not_a_number_and_flat_results_are_bad() -> None:
    before = textured()
    broken = check(before, before, EVERYWHERE, POINTS, 1.0, NONSENSE)
    assert broken.verdict == "bad" and broken.reasons[0] == Reason(ReasonCode.NOT_NUMBERS)
    grey = check(before, np.full_like(before, 128), EVERYWHERE, POINTS, 1.0, SOUND)
    assert grey.verdict == "bad" and grey.reasons[0] == Reason(ReasonCode.FLAT)


def test_blur() -> None:
    before = textured()
    assert detail(before, before, EVERYWHERE)[0] == 1
    blurred = cv2.GaussianBlur(before, None, 3)
    assert detail(before, blurred, EVERYWHERE)[0] < 0.5
    flat = np.full_like(before, 90)
    assert detail(flat, flat, EVERYWHERE)[0] == 1
    arrived = cv2.GaussianBlur(shifted(before, 30, -10), None, 3)
    judged = check(before, arrived, EVERYWHERE, POINTS, 1.0, SOUND)
    assert judged.verdict == "bad" and judged.reasons[0] == Reason(ReasonCode.BLURRED)


def test_content_drawn_out_like_rubber_is_bad_and_a_turn_is_not_distorted() -> None:
    before = textured()
    mask = np.zeros((256, 256), bool)
    mask[80:160, 80:160] = True
    steep = edge_fade(mask, 20)[..., None] * np.array([-60, 20], np.float32)
    after = warp(before, steep)
    judged = check(before, after, mask, POINTS, 1.0, Generated(None, steep, None))
    assert judged.verdict == "bad" and judged.measures["strain"] > 1
    for reason in judged.reasons:
        left, top, right, bottom = reason.box or (0, 0, 0, 0)
        assert 70 <= left < right <= 170 and 70 <= top < bottom <= 170, "inside the mask, as far as a blur reaches"
    drawn = Generated(None, steep, np.ones((256, 256, 1), np.float32))
    assert check(before, after, mask, POINTS, 1.0, drawn).risk < judged.risk, "what is drawn anew is not distorted"
    y, x = np.mgrid[:256, :256].astype(np.float32) - 120
    slope = slope_of(before)
    turn = distortion(np.stack([0.8 * x + 0.6 * y - x, -0.6 * x + 0.8 * y - y], -1), None, slope, mask)
    assert max((turn.texture * turn.strain).max(), turn.fold.max()) < 0.1
    double = distortion(np.stack([-x / 2, -y / 2], -1), None, slope, mask)
    assert np.allclose(double.strain[mask], np.log(4), atol=1e-3)
    mirrored = distortion(np.stack([-2 * x, np.zeros_like(y)], -1), None, slope, mask)
    assert mirrored.fold[mask].min() == 1, "stretched nowhere, but folded"
    assert distortion(steep, None, np.zeros_like(slope), mask).texture.max() == 0, "nothing to see is nothing distorted"


def cut_in_two(size: int = 256) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth photo, the flow of its lower half to the right, and a mask of all of it."""
    x = np.arange(size)
    grey = (128 + 60 * np.sin(x[None, :] / 9) + 0 * x[:, None]).astype(np.uint8)
    flow = np.zeros((size, size, 2), np.float32)
    flow[size // 2 :, :, 0] = -14
    return cv2.merge([grey] * 3), flow, np.ones((size, size), bool)


def test_a_thing_that_is_cut_through_is_torn_and_one_that_moves_along_its_contour_is_not() -> None:
    before, flow, mask = cut_in_two()
    after = np.where(mask[..., None], warp(before, flow), before)
    points = np.array([[100, 180, 114, 180]], np.float32)
    made = Generated(None, flow, None)
    judged, box = check(before, after, mask, points, 1.0, made), measure(before, after, mask, points, made).box("cuts")
    assert judged.verdict != "good" and box is not None and box[1] <= 128 <= box[3] <= 140, "where the halves part"
    parted = before.copy()
    parted[125:131] = 255 * (np.arange(6)[:, None, None] % 2)  # an edge where they part
    after = np.where(mask[..., None], warp(parted, flow), parted)
    apart = check(parted, after, mask, points, 1.0, made)
    assert apart.measures["cuts"] < 0.1 * judged.measures["cuts"] and apart.risk < judged.risk


def test_edges_that_the_photo_explains_do_not_count() -> None:
    before, mask = textured(), np.zeros((256, 256), bool)
    mask[30:220, 30:220] = True
    flow = np.broadcast_to(np.array([-20, 0], np.float32), (256, 256, 2)).copy()
    part = np.s_[28:222, 28:222]
    slopes = slope_of(before), slope_of(warp(before, flow))[part]
    whole = tears(*slopes, Generated(None, flow, None), mask[part], part)
    assert whole.edges.max() == whole.ground.max() == whole.cuts.max() == 0
    revealed = np.zeros((256, 256, 1), np.float32)
    revealed[100:140, 100:140] = 1
    revealed = cv2.GaussianBlur(revealed, (0, 0), 1.8)[..., None]
    offsets = np.zeros((256, 256, 2), np.float32)
    offsets[100:140, 100:140] = (30, 40)
    filled = warp(before, np.where(revealed > 0.5, offsets, flow))
    made = Generated(
        None, flow, revealed, None, Ground(offsets, np.zeros((*offsets.shape[:2], 3), np.uint8), (offsets != 0).any(-1))
    )
    copied = tears(slopes[0], slope_of(filled)[part], made, mask[part], part)
    inner = np.s_[76:108, 76:108]  # of the hole, in the part
    assert copied.edges.max() == copied.ground[inner].max() == 0 < copied.ground.max(), "edges where the ground begins"
    drawn = tears(slopes[0], slope_of(filled)[part], Generated(None, flow, revealed), mask[part], part)
    assert drawn.ground.max() == 0, "what the generator drew is judged by nothing of the photo"


def test_the_worst_place_lies_in_its_field() -> None:
    field = np.zeros((61, 43), np.float32)
    assert worst_place(field, (0, 0)) is None and spread(field).shape == (16, 11)
    field[58:, 40:] = 9
    left, top, right, bottom = worst_place(field, (100, 200)) or (0, 0, 0, 0)
    assert 100 <= left < 140 < right == 143 and 200 <= top < 258 < bottom == 261


def test_boxes_are_moved_to_the_photo() -> None:
    window = Window(top=40, left=20, height=512, width=1024, size=(256, 256))
    reasons = (Reason(ReasonCode.SEAM, box=(10, 11, 20, 22)), Reason(ReasonCode.NOT_NUMBERS))
    placed = Checks("bad", reasons, None, 0.0).on_photo(window)
    assert [reason.box for reason in placed.reasons] == [(60, 62, 100, 84), None]
    assert placed.reasons == reasons, "where it is does not tell reasons apart"
