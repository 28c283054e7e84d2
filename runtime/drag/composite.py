"""The edit at the photo's own resolution, from what the generator made at its size; blend.py defines the blend.

Works in strips of rows, so that memory does not grow with the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from edgedrag.runtime.drag.blend import blend, reveal_weight
from edgedrag.runtime.drag.flow import edge_fade, grid
from edgedrag.runtime.photo.picture import colour_and_alpha

STRIP = 256  # rows at a time; more, and the intermediate pictures leave the cache
SEAM = 1.5  # generator pixels over which an edit fades into the photo at the mask's edge

Box = tuple[slice, slice]


class Fill(Protocol):
    """The photo's own pixels where a motion reveals what lies behind (runtime/drag/ground.py).

    `offsets` float32 [H, W, 2]: from each of the generator's pixels to the one that it shows, 0 where none is filled.
    """

    @property
    def offsets(self) -> np.ndarray: ...

    def render(self, photo: np.ndarray, box: Box) -> np.ndarray:
        """The part `box` of a window's pixels [H, W, C] with the fill in it; float32 [h, w, C]."""
        ...


@dataclass(frozen=True)
class Generated:
    """The generator's output, at its own size.

    `result` float32 [H, W, 3] in 0..1, or None in a preview; `flow` float32 [H, W, 2], backward, in
    generator pixels, and `revealed` float32 [H, W, 1] in 0..1 (1 = the warp shows nothing real there), or None
    where the bundle has none. `change` float32 [H, W, 3] in -1..1 is what it adds to the warped photo, see blend.py.
    `ground` fills what is revealed, and `touch` float32 [H, W, 3] in -1..1 is added to it; without, `result` is drawn.
    """

    result: np.ndarray | None
    flow: np.ndarray | None
    revealed: np.ndarray | None
    change: np.ndarray | None = None
    ground: Fill | None = None
    touch: np.ndarray | None = None

    @property
    def width(self) -> int:
        some = self.flow if self.flow is not None else self.result
        assert some is not None, "a generator makes a flow, a result or both"
        return some.shape[1]

    @property
    def draws(self) -> bool:
        """Whether it has pixels to show: all of them where it has no flow, else what its flow reveals."""
        return self.result is not None and (self.flow is None or self.revealed is not None)

    def is_finite(self) -> bool:
        arrays = (self.result, self.flow, self.revealed, self.change, self.touch)
        return all(bool(np.isfinite(a).all()) for a in arrays if a is not None)

    def fault(self, picture: np.ndarray) -> str | None:
        """What shows that an engine failed: values that are not numbers, or one colour for a picture of many."""
        if not self.is_finite():
            return "values that are not numbers"
        if self.result is not None and np.ptp(self.result) == 0 and np.ptp(picture) > 0:
            return "a frame of one colour"
        return None


def compose(window: np.ndarray, mask: np.ndarray, generated: Generated) -> np.ndarray:
    """The window's pixels with the edit in them.

    Args:
        window: native pixels, any picture form.
        mask: bool, the window's height and width, not empty.

    Returns:
        A new array like `window`; where the mask is false, and in alpha, the same values.
    """
    edited = window.copy()
    box = box_of(mask)
    edited[box] = compose_box(window, mask, generated, box)
    return edited


def compose_box(window: np.ndarray, mask: np.ndarray, generated: Generated, whole: Box) -> np.ndarray:
    """The part `whole` of `compose`'s array, which holds all of the mask."""
    edited = window[whole].copy()
    old, new = colour_and_alpha(window)[0], colour_and_alpha(edited)[0]
    seam, corner = seam_width(mask, generated), [part.start for part in whole]

    def compose_strip(box: Box) -> None:
        change = _edit_pixels(old, generated, box)
        shown = old[box].astype(np.float32)
        change -= shown
        _fade_in(change, mask, box, seam)
        inside = tuple(slice(part.start - edge, part.stop - edge) for part, edge in zip(box, corner))
        # Rounds to even and keeps within the type's range.
        new[inside] = cv2.add(change, shown, dtype=cv2.CV_8U if new.dtype == np.uint8 else cv2.CV_16U).reshape(
            change.shape
        )

    each_on_a_thread(compose_strip, strips(whole))
    return edited


def each_on_a_thread(work: Callable[[Box], None], boxes: Iterable[Box]) -> None:
    """Do work on each of some boxes, on as many threads as OpenCV has; between its calls it runs on one."""
    several = list(boxes)
    if len(several) == 1:
        return work(several[0])
    from concurrent.futures import ThreadPoolExecutor  # here: it takes a while to import

    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        for _ in pool.map(work, several):
            pass
    return None


def _fade_in(change: np.ndarray, mask: np.ndarray, box: Box, seam: float) -> None:
    """Multiply what changes in a strip, [h, w, C], by `seam_fade`: 0 outside the mask, so that old + 0 is old."""
    rows, columns = box
    reach = int(np.ceil(seam)) + 1
    near = mask[max(rows.start - reach, 0) : rows.stop + reach]
    for left in range(columns.start, columns.stop, STRIP):
        part = slice(left, min(left + STRIP, columns.stop))
        if not near[:, max(part.start - reach, 0) : part.stop + reach].all():  # else it is 1
            faded = change[:, part.start - columns.start : part.stop - columns.start]
            faded *= _channels(seam_fade(mask, (rows, part), seam), change.shape[2])


def _edit_pixels(photo: np.ndarray, generated: Generated, box: Box) -> np.ndarray:
    """The edit's pixels in `box`, float32 [h, w, C] in the photo's own range, before any mask."""
    shape, channels = photo.shape[:2], photo.shape[2]
    moved = None if generated.flow is None else warp_native(photo, generated.flow, box)
    if moved is not None and not generated.draws:
        return moved
    assert generated.result is not None, "a generator makes a flow, a result or both"
    largest = np.float32(np.iinfo(photo.dtype).max)
    if moved is None:
        return enlarge(in_channels(generated.result, channels), shape, box) * largest
    assert generated.revealed is not None, "a generator that draws beside a flow says where"
    weight = enlarge(reveal_weight(generated.revealed), shape, box)
    drawn = weight[..., 0] > 0  # mostly a small part: only there are the generator's pixels resampled
    if drawn.any():
        part = rows, columns = box_of(drawn)
        inner = (
            slice(box[0].start + rows.start, box[0].start + rows.stop),
            slice(box[1].start + columns.start, box[1].start + columns.stop),
        )
        blend(moved[part], _drawn(photo, generated, inner), _channels(weight[part], channels))
    if generated.change is not None:
        moved += enlarge(in_channels(generated.change, channels) * largest, shape, box)
    return moved


def _drawn(photo: np.ndarray, generated: Generated, box: Box) -> np.ndarray:
    """What is shown in `box` where the flow reveals something, float32 [h, w, C] in the photo's own range."""
    shape, channels, largest = photo.shape[:2], photo.shape[2], np.float32(np.iinfo(photo.dtype).max)
    if generated.ground is None:
        assert generated.result is not None, "what draws without a ground has a result"
        return enlarge(in_channels(generated.result, channels), shape, box) * largest
    ground = generated.ground.render(photo, box)
    if generated.touch is not None:
        ground += enlarge(in_channels(generated.touch, channels), shape, box) * largest
    return ground


def in_channels(colour: np.ndarray, count: int) -> np.ndarray:
    """A generator's colour [H, W, 3] for a photo of 3 channels, or as grey [H, W, 1] for one of 1."""
    return colour if count == 3 else colour.mean(-1, keepdims=True)


def _channels(plane: np.ndarray, count: int) -> np.ndarray:
    """A plane [H, W, 1] repeated to [H, W, count]; arithmetic on it is then one pass over memory."""
    return cv2.merge([plane] * count).reshape(*plane.shape[:2], count)


def enlarge(small: np.ndarray, shape: tuple[int, int], box: Box) -> np.ndarray:
    """The part `box` of a generator-sized map [H, W, C] resampled to `shape`, bilinear, [h, w, C]."""
    rows, columns = box
    sy, sx = small.shape[0] / shape[0], small.shape[1] / shape[1]
    to_small = np.array([[sx, 0, (columns.start + 0.5) * sx - 0.5], [0, sy, (rows.start + 0.5) * sy - 0.5]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    out = cv2.warpAffine(
        small, to_small, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return out.reshape(size[1], size[0], -1)


def native_flow(flow: np.ndarray, shape: tuple[int, int], box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The part `box` of a generator-sized flow at a photo's `shape`, in its pixels: x and y, each [h, w]."""
    along_x, along_y = cv2.split(enlarge(flow, shape, box))
    along_x *= np.float32(shape[1] / flow.shape[1])
    along_y *= np.float32(shape[0] / flow.shape[0])
    return along_x, along_y


def warp_native(photo: np.ndarray, flow: np.ndarray, box: Box) -> np.ndarray:
    """The part `box` of a photo [H, W, C] warped, bicubic, by a generator-sized backward flow; float32."""
    at_x, at_y = native_flow(flow, photo.shape[:2], box)
    x, y = grid(at_x.shape)
    at_x += x + box[1].start
    at_y += y + box[0].start
    # Not a reflecting border: OpenCV folds a far coordinate back one photo width at a time, without end.
    moved = cv2.remap(photo, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved.reshape(*at_x.shape, -1).astype(np.float32)


def box_of(mask: np.ndarray) -> Box:
    """The smallest box that holds a mask, which is not empty."""
    rows = np.flatnonzero(mask.any(1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(0))
    return slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1)


def strips(box: Box) -> Iterator[Box]:
    """A box in strips of rows, from the top."""
    rows, columns = box
    for top in range(rows.start, rows.stop, STRIP):
        yield slice(top, min(top + STRIP, rows.stop)), columns


def seam_width(mask: np.ndarray, generated: Generated) -> float:
    """How many pixels of a window with this mask its seam takes."""
    return max(1.0, SEAM * mask.shape[1] / generated.width)


def seam_fade(mask: np.ndarray, box: Box, width: float) -> np.ndarray:
    """`edge_fade` of the mask in `box`, seen far enough around it to be exact; [h, w, 1]."""
    reach = int(np.ceil(width)) + 1
    (top, bottom), (left, right) = (
        (max(part.start - reach, 0), min(part.stop + reach, length)) for part, length in zip(box, mask.shape)
    )
    fade = edge_fade(mask[top:bottom, left:right], width)
    inner = np.s_[box[0].start - top : box[0].stop - top, box[1].start - left : box[1].stop - left]
    return fade[inner][..., None]
