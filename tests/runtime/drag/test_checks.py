from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.checks import Checks, check
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import edge_fade, warp
from edgedrag.runtime.drag.measures import detail, distortion, landing_errors, seam
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


def test_content_that_stayed_or_stopped_short() -> None:
    before = textured()
    assert landing_errors(before, before, POINTS)[0] == np.hypot(30, 10)
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
    assert len(landing_errors(before, before, corners)) == 2


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
    turn = distortion(np.stack([0.8 * x + 0.6 * y - x, -0.6 * x + 0.8 * y - y], -1), None, before, mask)
    assert max(turn.mean(turn.strain), turn.mean(turn.fold), turn.bend[mask].max()) < 1e-3
    double = distortion(np.stack([-x / 2, -y / 2], -1), None, before, mask)
    assert double.mean(double.stretch) < 1e-3 < np.log(4) - 0.01 < double.mean(double.strain)
    mirrored = distortion(np.stack([-2 * x, np.zeros_like(y)], -1), None, before, mask)
    assert mirrored.mean(mirrored.fold) > 0.99, "stretched nowhere, but folded"
    unseen = distortion(steep, None, np.full_like(before, 9), mask)
    assert unseen.mean(unseen.strain) == 0, "nothing to see is nothing distorted"


def test_boxes_are_moved_to_the_photo() -> None:
    window = Window(top=40, left=20, height=512, width=1024, size=(256, 256))
    reasons = (Reason(ReasonCode.SEAM, box=(10, 11, 20, 22)), Reason(ReasonCode.NOT_NUMBERS))
    placed = Checks("bad", reasons, None, 0.0).on_photo(window)
    assert [reason.box for reason in placed.reasons] == [(60, 62, 100, 84), None]
    assert placed.reasons == reasons, "where it is does not tell reasons apart"
