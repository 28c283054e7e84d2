"""Patches of a hole matched with patches of the rest of a picture, coarse to fine; see ground.py.

As in Wexler, Shechtman and Irani (PAMI 2007): match, let overlapping matches vote for colours, repeat. At coarse levels
every patch is compared with every other as one matrix product; finer levels compare what neighbours found (Barnes et
al., SIGGRAPH 2009).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

Box = tuple[slice, slice]

RADIUS = 2  # of a patch, pixels
SIDE = 2 * RADIUS + 1
COARSEST = 30  # pixels of the hole at the coarsest level, at most
PRODUCT = 2e6  # targets times sources, up to which all pairs are compared
FINEST_SIDE = 160  # of the level at which patches are compared last, pixels
MARGIN = 0.75  # of the hole's longer side, around it: where patches are taken from
LEAST_MARGIN = 48
ROUNDS = 6, 3  # of matching and voting: at the coarsest level, at each finer one
FADING = 0.8  # of confidence, with each pixel away from the hole's rim


def nearest_index(mask: np.ndarray) -> np.ndarray:
    """For each pixel the flat index of the nearest one where a mask, bool [H, W] and not empty, is true; int [H, W]."""
    _, labels = cv2.distanceTransformWithLabels(
        (~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    chosen = np.flatnonzero(mask)
    place = np.zeros(int(labels.max()) + 1, int)
    place[labels.reshape(-1)[chosen]] = chosen
    return place[labels]


def match_patches(picture: np.ndarray, hole: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The offset of each pixel of a hole to the pixel of `source` that it is copied from, float32 [H, W, 2].

    Args:
        picture: uint8 RGB [H, W, 3].
        hole, source: bool [H, W], not empty, without a pixel in common.
    """
    box = _around(hole)
    if not source[box].any():
        box = np.s_[0 : hole.shape[0], 0 : hole.shape[1]]
    found = None
    for level in _pyramid(picture[box], hole[box], source[box]):
        found = level.fill(found)
    offsets = np.zeros((*hole.shape, 2), np.float32)
    if found is not None:
        offsets[box] = _to_size(found, hole[box].shape)
    return _inside(offsets, hole, source)


def _around(hole: np.ndarray) -> Box:
    ys, xs = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    margin = max(LEAST_MARGIN, round(MARGIN * max(np.ptp(ys), np.ptp(xs))))
    return (
        slice(max(int(ys[0]) - margin, 0), int(ys[-1]) + margin + 1),
        slice(max(int(xs[0]) - margin, 0), int(xs[-1]) + margin + 1),
    )


def _pyramid(picture: np.ndarray, hole: np.ndarray, source: np.ndarray) -> Iterator[Level]:
    """From the coarsest level."""
    known = (~hole).astype(np.float32)
    colours = picture.astype(np.float32) * np.float32(1 / 255) * known[..., None]
    finest = 0
    while max(hole.shape) / 2**finest > FINEST_SIDE * 1.5:
        finest += 1
    coarsest = finest
    while hole.sum() / 4**coarsest > COARSEST and min(hole.shape) / 2**coarsest > 3 * SIDE:
        coarsest += 1
    for halvings in range(coarsest, finest - 1, -1):
        size = tuple(max(1, round(n / 2**halvings)) for n in hole.shape[::-1])
        weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
        colour = cv2.resize(colours, size, interpolation=cv2.INTER_AREA)
        usable = cv2.resize(source.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
        if usable.any():
            yield Level(colour / np.maximum(weight, 1e-3)[..., None], weight < 0.6, usable)


class Level:
    """One level of the pyramid: `colour` float32 [h, w, 3], `hole` and `source` bool [h, w]."""

    def __init__(self, colour: np.ndarray, hole: np.ndarray, source: np.ndarray):
        self.shape = hole.shape
        self.colour, self.hole = colour.copy(), hole
        whole = cv2.erode(source.view(np.uint8), np.ones((SIDE, SIDE)), borderValue=0).view(bool)
        whole[:RADIUS] = whole[-RADIUS:] = False
        whole[:, :RADIUS] = whole[:, -RADIUS:] = False
        self.usable = whole if whole.any() else source
        self.targets = np.flatnonzero(hole)
        self.sources = np.flatnonzero(self.usable)
        padded = self._pad(colour)
        self.patches = self._rows(padded)
        apart = cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 3)
        self.confidence = np.float32(FADING) ** apart
        around = np.arange(-RADIUS, RADIUS + 1)
        self._nearest = nearest_index(self.usable)
        self._down, self._right = (a.ravel() for a in np.meshgrid(around, around, indexing="ij"))

    @staticmethod
    def _pad(plane: np.ndarray) -> np.ndarray:
        return cv2.copyMakeBorder(plane, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT_101)

    def _rows(self, padded: np.ndarray) -> np.ndarray:
        """Every pixel's patch, [h * w, SIDE * SIDE * C]."""
        view = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(0, 1))
        view = np.moveaxis(view, (-2, -1), (2, 3)) if padded.ndim == 3 else view
        return np.ascontiguousarray(view).reshape(self.shape[0] * self.shape[1], -1)

    def fill(self, coarser: np.ndarray | None) -> np.ndarray:
        """The offsets of this level, float32 [h, w, 2] (x, y); from a coarser level's where there is one."""
        if not len(self.targets):
            return np.zeros((*self.shape, 2), np.float32) if coarser is None else _to_size(coarser, self.shape)
        if coarser is None:
            nearest = self._onion()
            for _ in range(ROUNDS[0]):
                nearest, cost = self._search(self.targets, self.confidence)
                self._vote(self.targets, nearest, cost)
        else:
            nearest = self._adopt(_to_size(coarser, self.shape))
            self._vote(self.targets, nearest, None)
            for _ in range(ROUNDS[1]):
                if len(self.targets) * len(self.sources) <= PRODUCT:
                    nearest, cost = self._search(self.targets, self.confidence)
                else:
                    nearest, cost = self._propagate(nearest)
                self._vote(self.targets, nearest, cost)
        return self._as_offsets(nearest)

    def _as_offsets(self, nearest: np.ndarray) -> np.ndarray:
        width = self.shape[1]
        offsets = np.zeros((self.shape[0] * width, 2), np.float32)
        offsets[self.targets, 0] = nearest % width - self.targets % width
        offsets[self.targets, 1] = nearest // width - self.targets // width
        return offsets.reshape(*self.shape, 2)

    def _target_rows(self, targets: np.ndarray, plane: np.ndarray) -> np.ndarray:
        padded, width = self._pad(plane), self.shape[1]
        y, x = targets // width, targets % width
        rows = padded[y[:, None] + self._down + RADIUS, x[:, None] + self._right + RADIUS]
        return rows.reshape(len(targets), -1)

    def _search(self, targets: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best source of each target by brute force, and its cost."""
        weight = self._target_rows(targets, confidence)
        rows = self._target_rows(targets, self.colour)
        weights = np.repeat(weight, 3, axis=1)
        sources = self.patches[self.sources]
        cost = weights @ (sources * sources).T
        cost -= 2 * ((weights * rows) @ sources.T)
        best = cost.argmin(1)
        constant = (weights * rows * rows).sum(1)
        total = cost[np.arange(len(targets)), best] + constant
        return self.sources[best], np.maximum(total, 0) / np.maximum(weight.sum(1), 1e-3)

    def _onion(self) -> np.ndarray:
        """A first filling from the rim inward."""
        confidence = (~self.hole).astype(np.float32)
        nearest = np.zeros(self.shape[0] * self.shape[1], int)
        flat = confidence.reshape(-1)
        left = self.targets
        while len(left):
            known = cv2.boxFilter(confidence, -1, (SIDE, SIDE), normalize=True, borderType=cv2.BORDER_REFLECT_101)
            near = cv2.dilate((confidence > 0).view(np.uint8), np.ones((3, 3))).view(bool).reshape(-1)[left]
            near = near if near.any() else known.reshape(-1)[left] >= known.reshape(-1)[left].max()
            ring = left[near]
            found, _ = self._search(ring, confidence)
            nearest[ring] = found
            self.colour.reshape(-1, 3)[ring] = self.patches[found].reshape(len(found), SIDE * SIDE, 3)[
                :, SIDE * SIDE // 2
            ]
            flat[ring] = self.confidence.reshape(-1)[ring]
            left = left[~near]
        return nearest[self.targets]

    def _adopt(self, offsets: np.ndarray) -> np.ndarray:
        """Sources from offsets of a coarser level, moved to usable ones."""
        width = self.shape[1]
        wanted = offsets.reshape(-1, 2)[self.targets].astype(int)
        x = np.clip(self.targets % width + wanted[:, 0], 0, width - 1)
        y = np.clip(self.targets // width + wanted[:, 1], 0, self.shape[0] - 1)
        return self._usable(x, y)

    def _usable(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The usable source at or nearest to x, y."""
        return self._nearest[y, x]

    def _propagate(self, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Better sources among those of neighbours and beside the own."""
        height, width = self.shape
        weights = np.repeat(self._target_rows(self.targets, self.confidence), 3, axis=1)
        weights /= weights.sum(1, keepdims=True) / 3
        rows = self._target_rows(self.targets, self.colour)
        y, x = self.targets // width, self.targets % width
        whole = np.full(height * width, -1)
        flat = self.usable.reshape(-1)

        def cost_of(candidates: np.ndarray) -> np.ndarray:
            difference = rows - self.patches[candidates]
            difference *= difference
            difference *= weights
            return difference.sum(1)

        best, cost = nearest, cost_of(nearest)
        for down, right in (
            (0, -1),
            (0, 1),
            (-1, 0),
            (1, 0),
            (0, -2),
            (0, 2),
            (-2, 0),
            (2, 0),
            (-4, 0),
            (4, 0),
            (0, -4),
            (0, 4),
        ):
            whole[self.targets] = best
            ny, nx = y + down, x + right
            inside = (ny >= 0) & (ny < height) & (nx >= 0) & (nx < width)
            neighbour = whole[np.where(inside, ny * width + nx, 0)]
            cy, cx = neighbour // width - down, neighbour % width - right
            fits = inside & (neighbour >= 0) & (cy >= 0) & (cy < height) & (cx >= 0) & (cx < width)
            candidate = np.where(fits, cy * width + cx, best)
            fits &= flat[candidate] & (candidate != best)
            best, cost = _better(best, cost, candidate, fits, rows, weights, self.patches)
        for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
            cy, cx = best // width + down, best % width + right
            fits = (cy >= 0) & (cy < height) & (cx >= 0) & (cx < width)
            candidate = np.where(fits, cy * width + cx, best)
            fits &= flat[candidate]
            best, cost = _better(best, cost, candidate, fits, rows, weights, self.patches)
        return best, cost

    def _vote(self, targets: np.ndarray, nearest: np.ndarray, cost: np.ndarray | None) -> None:
        """Set the hole's colours to the weighted mean of what the patches over them show."""
        height, width = self.shape
        share = np.ones(len(targets), np.float32)
        if cost is not None:
            share = np.exp(-cost / (2 * max(float(np.percentile(cost, 75)), 1e-6)))
        share = share * self.confidence.reshape(-1)[targets]
        total = np.zeros((height + 2 * RADIUS, width + 2 * RADIUS, 4), np.float32)
        flat = total.reshape(-1, 4)
        at = (targets // width + RADIUS) * (width + 2 * RADIUS) + targets % width + RADIUS
        shown = np.empty((len(targets), SIDE * SIDE, 4), np.float32)
        shown[..., :3] = self.patches[nearest].reshape(len(targets), SIDE * SIDE, 3)
        shown[..., 3] = 1
        shown *= share[:, None, None]
        for number, (down, right) in enumerate(zip(self._down, self._right)):
            flat[at + down * (width + 2 * RADIUS) + right] += shown[:, number]
        voted = total[RADIUS:-RADIUS, RADIUS:-RADIUS].reshape(-1, 4)[targets]
        self.colour.reshape(-1, 3)[targets] = voted[:, :3] / np.maximum(voted[:, 3:], 1e-8)


def _better(best, cost, candidate, fits, rows, weights, patches):
    some = np.flatnonzero(fits)
    if not len(some):
        return best, cost
    difference = rows[some] - patches[candidate[some]]
    difference *= difference
    difference *= weights[some]
    new = difference.sum(1)
    won = new < cost[some]
    best, cost = best.copy(), cost.copy()
    best[some[won]] = candidate[some[won]]
    cost[some[won]] = new[won]
    return best, cost


def _to_size(offsets: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Offsets at another size; each pixel takes the nearest one's, scaled to whole pixels.

    Pixels without an offset (0, 0), at the hole's rim, take that of the nearest pixel with one.
    """
    none = (offsets == 0).all(-1)
    if none.any() and not none.all():
        offsets = offsets.reshape(-1, 2)[nearest_index(~none)]
    sy, sx = shape[0] / offsets.shape[0], shape[1] / offsets.shape[1]
    y = np.minimum(np.arange(shape[0]) / sy, offsets.shape[0] - 1).astype(int)
    x = np.minimum(np.arange(shape[1]) / sx, offsets.shape[1] - 1).astype(int)
    return np.rint(offsets[y[:, None], x] * np.float32([sx, sy])).astype(np.float32)


def _inside(offsets: np.ndarray, hole: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The offsets made to end in `source` where `hole`, and 0 elsewhere."""
    height, width = hole.shape
    y, x = np.nonzero(hole)
    wanted = offsets[y, x].astype(int)
    to = nearest_index(source)[np.clip(y + wanted[:, 1], 0, height - 1), np.clip(x + wanted[:, 0], 0, width - 1)]
    ended = np.zeros_like(offsets)
    ended[y, x, 0], ended[y, x, 1] = to % width - x, to // width - y
    return ended
