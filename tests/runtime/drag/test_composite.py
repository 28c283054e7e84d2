"""Outside the mask nothing changes, in any picture form; inside, the warp is native and sharp."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgedrag.runtime.drag.blend import generated_change, reveal_weight
from edgedrag.runtime.drag.composite import Generated, compose, enlarge, seam_fade, seam_width, warp_native
from edgedrag.runtime.drag.flow import warp

RNG = np.random.default_rng(0)


def generated(size: int = 64, flow: tuple[float, float] = (5.0, -3.0)) -> Generated:
    field = np.broadcast_to(np.array(flow, np.float32), (size, size, 2)).copy()
    result = RNG.random((size, size, 3), np.float32)
    return Generated(result, field, RNG.random((size, size, 1), np.float32))


@pytest.mark.parametrize("channels", [None, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("parts", ["flow", "result", "both"])
def test_outside_is_exact_and_alpha_is_kept(channels: int | None, dtype: type, parts: str) -> None:
    shape = (700, 333) if channels is None else (700, 333, channels)
    window = RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    mask = RNG.random((700, 333)) > 0.5
    made = generated()
    made = Generated(
        None if parts == "flow" else made.result,
        None if parts == "result" else made.flow,
        made.revealed if parts == "both" else None,
    )
    original = window.copy()
    edited = compose(window, mask, made)
    assert edited.dtype == dtype and edited.shape == shape
    assert np.array_equal(edited[~mask], original[~mask])
    assert not np.array_equal(edited[mask], original[mask])
    assert np.array_equal(window, original), "the input stays as it is"
    if channels in (2, 4):
        assert np.array_equal(edited[..., -1], original[..., -1])


def test_a_flow_of_whole_native_pixels_moves_pixels_bit_exactly() -> None:
    """Native sharpness: a 4x window moved by 2 generator pixels is moved by 8 native ones, unresampled."""
    window = RNG.integers(0, 255, (256, 256, 3), dtype=np.uint8)
    still = Generated(None, np.broadcast_to(np.array([2, 0], np.float32), (64, 64, 2)).copy(), None)
    edited = compose(window, np.ones((256, 256), bool), still)
    assert np.array_equal(edited[20:-20, 20:-20], window[20:-20, 28:-12])


def test_strips_leave_no_trace() -> None:
    """The same edit, composed whole and as a window's lower part."""
    window = RNG.integers(0, 255, (1200, 100, 3), dtype=np.uint8)
    mask = np.zeros((1200, 100), bool)
    mask[100:1100, 10:90] = True
    field = RNG.standard_normal((75, 50, 2)).astype(np.float32)
    edited = compose(window, mask, Generated(None, field, None))
    every = (slice(0, 1200), slice(0, 100))
    expected = np.clip(np.rint(warp_native(window, field, every)), 0, 255).astype(np.uint8)
    assert np.array_equal(edited[130:1070, 40:60], expected[130:1070, 40:60])


def test_enlarged_part_is_part_of_the_enlarged() -> None:
    made = RNG.random((40, 30, 2), np.float32)
    whole = enlarge(made, (400, 330), (slice(0, 400), slice(0, 330)))
    part = enlarge(made, (400, 330), (slice(100, 250), slice(20, 300)))
    np.testing.assert_allclose(part, whole[100:250, 20:300], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_drawing_where_something_is_revealed_is_drawing_everywhere(channels: int) -> None:
    """A map that reveals one corner, against the blend of whole pictures."""
    window = RNG.integers(0, 255, (300, 280, channels), dtype=np.uint8)
    made = generated()
    assert made.result is not None and made.flow is not None and made.revealed is not None
    made.revealed[:] = 0.0
    made.revealed[20:34, 9:25] = 0.97
    every = (slice(0, 300), slice(0, 280))
    form = window if channels == 3 else window[..., 0]  # grey photos have no axis of channels
    edited = compose(form, np.ones((300, 280), bool), made).reshape(window.shape)
    result = made.result if channels == 3 else made.result.mean(-1, keepdims=True)
    moved, drawn = warp_native(window, made.flow, every), enlarge(result, (300, 280), every) * 255
    whole = moved + (drawn - moved) * enlarge(reveal_weight(made.revealed), (300, 280), every)
    np.testing.assert_allclose(edited.astype(np.float32), np.clip(whole, 0, 255), atol=0.6)
    still = compose(form, np.ones((300, 280), bool), Generated(None, made.flow, None)).reshape(window.shape)
    assert np.array_equal(edited[:70], still[:70]), "what nothing is revealed in is the warp alone"


def test_what_was_changed_is_added_to_what_moved_at_its_own_sharpness() -> None:
    """A generator that lightens the moved photo and knows nothing of its fine structure."""
    window = RNG.integers(30, 200, (512, 512, 3), dtype=np.uint8)
    small = cv2.resize(window, (128, 128), interpolation=cv2.INTER_AREA)
    flow, revealed = np.zeros((128, 128, 2), np.float32), np.zeros((128, 128, 1), np.float32)
    flow[:, :64] = (2, 0)
    revealed[:8] = 1
    result = warp(small.astype(np.float32), flow) / 255 + np.float32(0.1)
    change = generated_change(small, np.array([[30.0, 110.0], [40.0, 120.0]]), result, flow, revealed)
    every = np.ones((512, 512), bool)
    moved = compose(window, every, Generated(None, flow, None)).astype(int)
    edited = compose(window, every, Generated(result, flow, revealed, change)).astype(int)
    assert np.abs(edited[40:240, 8:228] - moved[40:240, 8:228] - 25.5).max() <= 1
    assert np.array_equal(edited[40:, 272:], moved[40:, 272:]), "what stays where it was is the photo's own"
    assert np.abs(edited[438:446, 118:126] - moved[438:446, 118:126]).max() <= 1, "what was grabbed is shown as it is"
    drawn = enlarge(result, (512, 512), (slice(0, 512), slice(0, 512))) * 255
    assert np.abs(edited[:24] - np.clip(drawn[:24], 0, 255)).max() <= 1, "what was revealed is drawn, not added to"


def test_the_threads_and_a_mask_with_holes_change_nothing() -> None:
    """Many strips on several threads against one, and the fade at an edge against that of the whole mask."""
    window = RNG.integers(0, 255, (1100, 700, 3), dtype=np.uint8)
    mask = np.zeros((1100, 700), bool)
    mask[60:1060, 30:640] = True
    mask[500:520, 300:330] = False
    made = generated()
    threads = cv2.getNumThreads()
    edits = []
    for count in (1, 3):
        cv2.setNumThreads(count)
        edits.append(compose(window, mask, made))
    cv2.setNumThreads(threads)
    assert np.array_equal(*edits) and np.array_equal(edits[0][~mask], window[~mask])
    every = (slice(0, 1100), slice(0, 700))
    fade = seam_fade(mask, every, seam_width(mask, made))
    solid = compose(window, np.ones((1100, 700), bool), made).astype(np.float32)
    wanted = window + (solid - window) * fade
    assert np.abs(edits[0] - wanted).max() <= 1
