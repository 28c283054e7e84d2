from __future__ import annotations

import cv2
import numpy as np

from edgedrag.runtime.drag.checks import check, detail, landing_errors, seam, torn
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import edge_fade, warp
from edgedrag.runtime.drag.reasons import Reason, ReasonCode


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
    assert check(before, before, EVERYWHERE, POINTS, 1.0, SOUND).verdict == "bad"
    short = check(before, shifted(before, 22, -10), EVERYWHERE, POINTS, 2.0, SOUND)
    assert (short.verdict, short.landing_error_px) == ("doubtful", 16.0)
    assert short.reasons == (Reason(ReasonCode.MISSED, {"pixels": 16}),)


def test_two_doubts_are_bad() -> None:
    before = textured()
    arrived = shifted(before, 30, -10)
    softer = cv2.addWeighted(arrived, 0.6, cv2.GaussianBlur(arrived, None, 3), 0.4, 0)
    short = POINTS + np.array([0, 0, 8, 0], np.float32)
    for after, points in ((softer, POINTS), (arrived, short)):
        alone = check(before, after, EVERYWHERE, points, 1.0, SOUND)
        assert alone.verdict == "doubtful" and len(alone.reasons) == 1
    both = check(before, softer, EVERYWHERE, short, 1.0, SOUND)
    assert both.verdict == "bad" and len(both.reasons) == 2


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
    assert seam(before, before, mask) == 0
    assert seam(before, pasted, mask) > 10
    assert Reason(ReasonCode.SEAM) in check(before, pasted, mask, POINTS, 1.0, SOUND).reasons


def test_not_a_number_and_flat_results_are_bad() -> None:
    before = textured()
    broken = check(before, before, EVERYWHERE, POINTS, 1.0, NONSENSE)
    assert broken.verdict == "bad" and broken.reasons[0] == Reason(ReasonCode.NOT_NUMBERS)
    grey = check(before, np.full_like(before, 128), EVERYWHERE, POINTS, 1.0, SOUND)
    assert grey.verdict == "bad" and grey.reasons[0] == Reason(ReasonCode.FLAT)


def test_blur() -> None:
    before = textured()
    assert detail(before, before, EVERYWHERE) == 1
    blurred = cv2.GaussianBlur(before, None, 3)
    assert detail(before, blurred, EVERYWHERE) < 0.5
    flat = np.full_like(before, 90)
    assert detail(flat, flat, EVERYWHERE) == 1
    assert Reason(ReasonCode.BLURRED) in check(before, blurred, EVERYWHERE, POINTS, 1.0, SOUND).reasons


def test_content_drawn_out_like_rubber_is_bad_and_a_turn_is_not() -> None:
    before = textured()
    mask = np.zeros((256, 256), bool)
    mask[80:160, 80:160] = True
    steep = edge_fade(mask, 20)[..., None] * np.array([-60, 20], np.float32)
    after = warp(before, steep)
    assert torn(steep, None, after, mask).sum() > 0.28
    judged = check(before, after, mask, POINTS, 1.0, Generated(None, steep, None))
    assert judged.verdict == "bad" and Reason(ReasonCode.STRETCHED) in judged.reasons
    drawn = Generated(None, steep, np.ones((256, 256, 1), np.float32))
    assert Reason(ReasonCode.STRETCHED) not in check(before, after, mask, POINTS, 1.0, drawn).reasons
    y, x = np.mgrid[:256, :256].astype(np.float32) - 120
    turn = np.stack([0.8 * x + 0.6 * y - x, -0.6 * x + 0.8 * y - y], -1)
    assert torn(turn, None, warp(before, turn), mask).sum() == 0
    assert torn(turn, None, np.full_like(before, 9), mask).sum() == 0, "nothing to see is nothing torn"
    mirrored = np.stack([-2 * x, np.zeros_like(y)], -1)
    assert torn(mirrored, None, warp(before, mirrored), mask).sum() > 0.99, "stretched nowhere, but folded"


def test_what_tears_apart_from_the_drags_is_bad_and_beside_them_doubtful() -> None:
    seen, mask = (np.zeros((256, 256), bool) for _ in range(2))
    seen[108:148, 20:150] = mask[90:166, 4:166] = True
    before = np.where(seen[..., None], textured(), np.uint8(128))  # flat at the mask's edge: no seam
    flow = np.zeros((256, 256, 2), np.float32)
    flow[:, :52, 0] = -10  # what is dragged by 10 pixels is whole
    flow[:, 52:74, 0] = -2 * (np.arange(52, 74) - 63)  # what follows is mirrored
    flow *= mask[..., None]
    after = warp(before, flow)

    def judged(*way: float) -> tuple[str, tuple[Reason, ...]]:
        checks = check(before, after, mask, np.array([way]), 1.0, Generated(None, flow, None))
        return checks.verdict, checks.reasons

    reasons = (Reason(ReasonCode.STRETCHED),)
    assert judged(30, 128, 40, 128) == ("doubtful", reasons)
    assert judged(135, 128, 136, 128) == ("bad", reasons)
