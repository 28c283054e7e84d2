"""The ground behind what moved away: which of the photo's own pixels fill a hole.

Patches of the hole are matched with patches of the rest, coarse to fine (patches.py), and seams moved to where they
show least (seams.py). The result is an offset for each pixel, so that the ground is copied from native pixels, and the
colour that hides what is left of the seams (seam_colour.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box, enlarge, in_channels, strips
from edgedrag.runtime.drag.flow import nonzero
from edgedrag.runtime.drag.patches import Level, nearest_index
from edgedrag.runtime.drag.seam_colour import seam_colour
from edgedrag.runtime.drag.seams import Seams

THIN = 6.5  # pixels, the radius of a hole at the smallest size
MOST_MATCHED = 1500  # pixels of the hole where patches are matched
FIRST_ROUNDS, ROUNDS = 4, 2  # of matching, at the smallest size and at others
SETTLED = 1000  # pixels of the hole from which on seams are settled
WHOLE, HALF = 0.99, 0.6  # shares of a smaller picture's pixel that are known: of one that is copied; of one that stays
SWEEPS = 4  # of the seams, at each size
MARGIN = 1.0  # of the hole's longer side, around it: where patches are taken from
LEAST_MARGIN = 32
CORNERS = (0, 0), (0, 1), (1, 0), (1, 1)  # of a square of generator pixels: down and right
LEAST_SOURCES = 120  # pixels; with fewer, a larger part of the picture or a larger size of it is taken


@dataclass(frozen=True)
class Ground:
    """What fills a hole, at the generator's size.

    `offsets` float32 [H, W, 2], whole generator pixels from a pixel of the hole to the one that it shows, 0 elsewhere;
    `picture` and `hole` are what it was made for.
    """

    offsets: np.ndarray
    picture: np.ndarray
    hole: np.ndarray

    @cached_property
    def colour(self) -> np.ndarray:
        """float32 [H, W, 3] in -1..1, added to what is copied; a preview, which sends a motion alone, needs none."""
        return seam_colour(self.picture, self.hole, self.offsets)

    def render(self, photo: np.ndarray, box: Box) -> np.ndarray:
        """The part `box` of the window's native pixels [H, W, C] with the ground in the hole; float32 [h, w, C].

        Pixels are copied, not resampled: an offset is rounded to native pixels. Between generator pixels with
        different offsets the copies are blended.
        """
        out = photo[box].astype(np.float32)
        top = box[0].start
        for strip in strips(box):
            self._render_strip(photo, strip, out[strip[0].start - top : strip[0].stop - top])
        return out

    def _render_strip(self, photo: np.ndarray, box: Box, out: np.ndarray) -> None:
        """Put the ground into `out`, which holds the photo's pixels of `box`."""
        rows, columns = box
        hole = nonzero(self.offsets)
        weight = enlarge(hole.astype(np.float32)[..., None], photo.shape[:2], box)
        if not weight.any():
            return
        to_generator = np.array([hole.shape[1] / photo.shape[1], hole.shape[0] / photo.shape[0]], np.float32)
        bordered = cv2.copyMakeBorder(np.rint(self.offsets / to_generator), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        native = bordered.view(np.complex64)[..., 0]  # x + iy
        corners = [native[top : top + len(hole) + 1, left : left + hole.shape[1] + 1] for top, left in CORNERS]
        differ = (corners[1] != corners[0]) | (corners[2] != corners[0]) | (corners[3] != corners[0])
        x, y = (np.arange(part.start, part.stop, dtype=np.float32) for part in (columns, rows))
        at_x, at_y = (x + 0.5) * to_generator[0] + 0.5, (y + 0.5) * to_generator[1] + 0.5  # in `native`
        left, top = at_x.astype(int), at_y.astype(int)
        # Most pixels lie between generator pixels with one offset.
        shift = corners[0].take(top, axis=0).take(left, axis=1)
        copied = cv2.remap(
            photo, shift.real + x, shift.imag + y[:, None], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        out[:] = copied.reshape(out.shape)
        # At the others the copies of the four are blended.
        mixed = np.nonzero(differ.take(top, axis=0).take(left, axis=1))
        out[mixed] = 0
        down, right = (at_y - top)[mixed[0]], (at_x - left)[mixed[1]]
        for corner, (below, beside) in zip(corners, CORNERS):
            share = np.abs(1 - below - down) * np.abs(1 - beside - right)
            shift = corner[top[mixed[0]], left[mixed[1]]]
            to_x = (x[mixed[1]] + shift.real).astype(int).clip(0, photo.shape[1] - 1)
            to_y = (y[mixed[0]] + shift.imag).astype(int).clip(0, photo.shape[0] - 1)
            out[mixed] += share[:, None] * photo[to_y, to_x]
        largest = np.float32(np.iinfo(photo.dtype).max)
        out += weight * enlarge(in_channels(self.colour, out.shape[2]) * largest, photo.shape[:2], box)
        np.clip(out, 0, largest, out=out)


def make_ground(
    picture: np.ndarray, hole: np.ndarray, allowed: np.ndarray | None = None, wanted: np.ndarray | None = None
) -> Ground:
    """Fill a hole with the rest of a picture.

    Args:
        picture: uint8 RGB [H, W, 3].
        hole: bool [H, W].
        allowed: bool [H, W], where pixels may be copied from; None: everywhere outside the hole,
            as where it leaves nothing. Of a hole that is everything nothing is filled.
        wanted: bool [H, W], the part of the hole that is filled; None: all of it.
    """
    return Ground(ground_flow(picture, hole, allowed, wanted), picture, hole)


def ground_flow(
    picture: np.ndarray, hole: np.ndarray, allowed: np.ndarray | None = None, wanted: np.ndarray | None = None
) -> np.ndarray:
    """The offset of each pixel of the hole to the one that it is copied from, float32 [H, W, 2]; see `make_ground`."""
    source = ~hole if allowed is None else allowed & ~hole
    if not source.any():
        source = ~hole
    wanted = hole if wanted is None else wanted & hole
    if not (wanted.any() and source.any()):
        return np.zeros((*hole.shape, 2), np.float32)
    box = _around(wanted)
    if source[box].sum() < LEAST_SOURCES:
        box = np.s_[0 : hole.shape[0], 0 : hole.shape[1]]
    offsets = np.zeros((*hole.shape, 2), np.float32)
    offsets[box] = _coarse_to_fine(picture[box].astype(np.float32), hole[box], source[box], wanted[box])
    return offsets


def _around(hole: np.ndarray) -> Box:
    """The part of a picture that holds a hole and what may fill it, in multiples of 32 pixels."""
    longest = max(np.ptp(np.flatnonzero(hole.any(axis))) for axis in (0, 1))
    margin = max(LEAST_MARGIN, round(MARGIN * longest))
    box = []
    for along, length in zip((hole.any(1), hole.any(0)), hole.shape):
        inside = np.flatnonzero(along)
        start = max(int(inside[0]) - margin, 0) // 32 * 32
        stop = -(-(int(inside[-1]) + 1 + margin) // 32) * 32
        box.append(slice(start, min(stop, length)))
    return box[0], box[1]


def _coarse_to_fine(picture: np.ndarray, hole: np.ndarray, source: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Offsets by matched patches, from a size at which the hole is thin, then with seams settled."""
    offsets = None
    shown, outside = picture * ~hole[..., None], (~hole).astype(np.float32)
    may_show, may_fill = source.astype(np.float32), wanted.astype(np.float32)
    for halvings in range(_most_halvings(hole, wanted), -1, -1):
        size = [max(1, round(n / 2**halvings)) for n in hole.shape[::-1]]
        known = cv2.resize(outside, size, interpolation=cv2.INTER_AREA)
        small_source = cv2.resize(may_show, size, interpolation=cv2.INTER_AREA) > WHOLE
        if small_source.sum() < (LEAST_SOURCES if halvings else 1):
            continue
        colour = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
        colour /= np.maximum(known, 1e-3)[..., None]
        small_hole = known < HALF
        filled = small_hole & (cv2.resize(may_fill, size, interpolation=cv2.INTER_AREA) > 0)
        if not filled.any():
            continue
        if offsets is not None:
            offsets = _inside(_to_size(offsets, known.shape), filled, small_source)
        if offsets is None or filled.sum() <= MOST_MATCHED:
            level = Level(colour * np.float32(1 / 255), small_hole, small_source, filled)
            offsets = level.first(FIRST_ROUNDS) if offsets is None else level.refine(offsets, ROUNDS)
        if filled.sum() > SETTLED or not halvings:
            offsets = Seams(colour, small_hole, small_source, filled, offsets).settle(SWEEPS)
    assert offsets is not None
    return _inside(offsets, wanted, source)


def _most_halvings(hole: np.ndarray, wanted: np.ndarray) -> int:
    """How often a picture is halved until what is wanted of its hole is THIN."""
    padded = cv2.copyMakeBorder(hole.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    radius = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_3)[1:-1, 1:-1][wanted].max()
    return max(0, int(np.ceil(np.log2(float(radius) / THIN))))


def _to_size(offsets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Offsets at another size; each pixel takes the nearest one's, scaled to whole pixels.

    Pixels without an offset (0, 0), at the hole's rim, take that of the nearest pixel with one.
    """
    some = nonzero(offsets)
    if some.any():
        offsets = offsets.reshape(-1, 2).take(nearest_index(some), axis=0)
    sy, sx = shape[0] / offsets.shape[0], shape[1] / offsets.shape[1]
    y = np.minimum(np.arange(shape[0]) / sy, offsets.shape[0] - 1).astype(int)
    x = np.minimum(np.arange(shape[1]) / sx, offsets.shape[1] - 1).astype(int)
    return np.rint(offsets * np.array([sx, sy], np.float32)).take(y, axis=0).take(x, axis=1)


def _inside(offsets: np.ndarray, hole: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The offsets made to end in `source` where `hole`, and 0 elsewhere."""
    height, width = hole.shape
    at = np.flatnonzero(hole)
    y, x = np.divmod(at, width)
    wanted = offsets.reshape(-1, 2).take(at, axis=0).astype(int)
    end = (y + wanted[:, 1]).clip(0, height - 1) * width + (x + wanted[:, 0]).clip(0, width - 1)
    to_y, to_x = np.divmod(nearest_index(source).take(end), width)
    ended = np.zeros((height * width, 2), np.float32)
    ended[at, 0], ended[at, 1] = to_x - x, to_y - y
    return ended.reshape(height, width, 2)
