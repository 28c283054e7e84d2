"""Motion fields: values spread from points, a fade at an edge, and the warp of pixels.

A *backward flow* is float32 [H, W, 2] in pixels, x then y: the result at p shows the source at
p + flow(p). Points are float32 [N, 4]: handle x, y, target x, y in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

FADE = 6.0  # pixels over which a motion falls to zero at the mask's edge
SOFTENING = 4.0  # square pixels added to squared distances
ROW = 1024  # points sampled in a row: cv2.remap limits the length of one
STRIP = 256  # rows at once, times points, so that the sums stay in the caches


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates x [1, W] and y [H, 1], float32."""
    h, w = shape
    return np.arange(w, dtype=np.float32)[None, :], np.arange(h, dtype=np.float32)[:, None]


def places(shape: tuple[int, ...]) -> np.ndarray:
    """The x and y of each pixel, float32 [h, w, 2]."""
    return cv2.merge(np.meshgrid(*(np.arange(length, dtype=np.float32) for length in shape[::-1])))


def longest(points: np.ndarray) -> float:
    """The length of the longest drag of points [N, 4]."""
    return float(np.hypot(*(points[:, 2:] - points[:, :2]).T).max())


def edge_fade(mask: np.ndarray, width: float = FADE) -> np.ndarray:
    """0 outside the mask, rising linearly to 1 at `width` pixels inside it; float32 [H, W].

    The border of the array is not an edge: what touches it goes on beyond.
    """
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.minimum(inside / width, 1.0)


def inverse_distance(at: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Values [N, C] at points [N, 2] spread over a picture, float32 [C, H, W].

    Inverse-distance weighting (Shepard 1968): sum w_i v_i / sum w_i, w_i = 1 / (d_i^2 + 4).
    """
    x, y = grid(shape)
    at, values = at.astype(np.float32), values.astype(np.float32)
    field = np.empty((values.shape[1], *shape), np.float32)
    step = max(1, STRIP // len(at))
    for top in range(0, shape[0], step):
        rows = slice(top, top + step)
        weights = 1.0 / ((x - at[:, 0, None, None]) ** 2 + (y[rows] - at[:, 1, None, None]) ** 2 + SOFTENING)
        total = weights.sum(0)
        for plane, components in zip(field, values.T):
            plane[rows] = (weights * components[:, None, None]).sum(0) / total
    return field


def warp(image: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Sample `image` [H, W] or [H, W, C] at p + flow(p); beyond the border its edge is repeated."""
    x, y = grid(flow.shape[:2])
    return cv2.remap(image, flow[..., 0] + x, flow[..., 1] + y, interpolation, borderMode=cv2.BORDER_REPLICATE)


def sample(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """A picture [H, W, C] at places [h, w], its border repeated; [h, w, C]."""
    return cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE).reshape(*x.shape, -1)


def sample_list(picture: np.ndarray, x: np.ndarray, y: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The same at places [n]; [n, C]."""
    if not len(x):
        return picture.reshape(*picture.shape[:2], -1)[0, :0]
    rows = -(-len(x) // ROW)
    places_x, places_y = (np.resize(a, (rows, ROW)) for a in (x, y))
    return sample(picture, places_x, places_y, how).reshape(rows * ROW, -1)[: len(x)]


def slopes(plane: np.ndarray) -> list[np.ndarray]:
    """Central differences of a plane along x and along y, edges replicated."""
    return [
        cv2.Sobel(plane, cv2.CV_32F, dx, dy, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        for dx, dy in ((1, 0), (0, 1))
    ]


def jacobian(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the sampling map p + flow(p), each [H, W]: a and b, so that its squared singular values are (a - b) / 2 and
    (a + b) / 2, and its determinant.
    """
    (xx, xy), (yx, yy) = (slopes(plane) for plane in cv2.split(flow))
    xx, yy = xx + 1, yy + 1
    squares, determinant = xx * xx + xy * xy + yx * yx + yy * yy, xx * yy - xy * yx
    return squares, np.sqrt(np.maximum(squares * squares - 4 * determinant * determinant, 0)), determinant


def wider(region: np.ndarray, margin: int) -> np.ndarray:
    """A region, bool [H, W], with a margin around it."""
    return cv2.dilate(region.astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8)).view(bool)


def nonzero(flow: np.ndarray) -> np.ndarray:
    """Where a flow [H, W, 2] is not 0, bool [H, W]; numpy's `any` over so short an axis takes ten times as long."""
    return (flow[..., 0] != 0) | (flow[..., 1] != 0)


def enclosed(region: np.ndarray, fewer_than: float = np.inf) -> np.ndarray:
    """What a region encloses in pieces of fewer than some pixels; both bool [H, W]."""
    left, top, width, height = cv2.boundingRect(region.view(np.uint8))
    part = np.s_[top : top + height, left : left + width]
    outside = np.ascontiguousarray(~region[part]).view(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    x, y, columns, rows, pixels = stats.T
    inside = (x > 0) & (y > 0) & (x + columns < width) & (y + rows < height) & (pixels < fewer_than)
    inside[0] = False  # the region itself
    found = np.zeros_like(region)
    if inside.any():
        found[part] = inside[pieces]
    return found


def turn_and_growth(handles: np.ndarray, along: np.ndarray) -> tuple[np.floating, np.floating]:
    """Rotation and growth that shifts `along` [N, 2] of handles [N, 2] have in common, each times the handles' square
    spread; by least squares."""
    around, differs = handles - handles.mean(0), along - along.mean(0)
    return (around[:, 0] * differs[:, 1] - around[:, 1] * differs[:, 0]).mean(), (around * differs).sum(1).mean()


def at_sides(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask, bool [H, W], that lie at the sides of the picture."""
    sides = mask.copy()
    sides[1:-1, 1:-1] = False
    return sides


def rim(region: np.ndarray) -> np.ndarray:
    """The outermost pixels of a region, both bool [H, W]; where it touches the border of the array it goes on."""
    return region & ~cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).view(bool)
