"""What an edit held and where it is now, so that a further round goes on with it.

Kept with each edit: where the drags began and ended, the motion between, and the maps of what they held, moved with it.
A few hundred kilobytes at any size of the photo.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import grid, warp
from edgedrag.runtime.drag.motion_names import MotionName
from edgedrag.runtime.hold.hold import FOUND_NAMES, NAMES, Hold
from edgedrag.runtime.photo.window import Window

Way = tuple[MotionName, str, bool, float | None]

SHOWN = 0.5  # weight of what is revealed up to which a pixel shows what moved there
LEVEL = 25  # of a map, of 255: from there on a place shows what moved
FOUND = 1.0  # generator pixels; residual below which a pixel's place in the photo as it is now is found
ROUNDS = 8  # of the iteration that finds it


@dataclass(frozen=True, eq=False)
class Held:
    """What the drags of an edit held.

    Attributes:
        way: what two rounds must share to be one motion: the motion's name, the answer of the hold that moves,
            whether a mask was given, and the reach of a bend.
        points: float32 [N, 4] in photo pixels: where each drag began, in the photo that the motion starts from, and
            where that place is now.
        maps: of each drag, uint8 [4, h, w] in 0..255 at low resolution of the photo: the hold's answers, moved.
        window, flow, revealed: the motion, from the photo that it starts from: float16 [H, W, 2], backward, in
            generator pixels of the window; uint8 [H, W] in 0..255 where something is revealed, else None.
        photo: that photo, while something else uses it.
    """

    way: Way
    points: np.ndarray
    maps: tuple[np.ndarray, ...]
    window: Window
    flow: np.ndarray
    revealed: np.ndarray | None
    photo: weakref.ref[np.ndarray]

    @property
    def pixel(self) -> float:
        """A generator pixel in photo pixels."""
        return float(self.window.scale.mean())

    def answers_at(self, point: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
        """The answers for a point (x, y) of a photo of `shape` where it lies on what moved, else None.

        Returns:
            float32 [3, h, w] in 0..1 as `make_hold` takes them; an answer without the point is the next larger one.
        """
        for moved in self.maps:
            rows, columns = moved.shape[1:]
            x, y = (np.asarray(point) + 0.5) * [columns / shape[1], rows / shape[0]]
            levels = moved[:, min(int(y), rows - 1), min(int(x), columns - 1)]
            if levels[NAMES.index(self.way[1])] < 128:
                continue
            answers = moved.astype(np.float32) * np.float32(1 / 255)
            for number in range(len(NAMES) - 2, -1, -1):
                if levels[number] < 128:
                    answers[number] = answers[number + 1]
            return answers[: len(FOUND_NAMES)]
        return None

    def region(self, window: Window, shape: tuple[int, ...]) -> np.ndarray:
        """Where what moved is now, in a window of a photo of `shape`, bool [H, W] at the generator's size."""
        moved = np.max([of_drag[NAMES.index(self.way[1])] for of_drag in self.maps], 0)
        to_map = np.array([moved.shape[1] / shape[1], moved.shape[0] / shape[0]])
        scale, corner = window.scale * to_map, np.array([window.left, window.top]) * to_map
        affine = np.column_stack([np.diag(scale), corner + 0.5 * scale - 0.5])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(moved, affine, window.size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE) > LEVEL

    def flow_at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """At photo points [h, w]: the backward flow [h, w, 2] in photo pixels, 0 outside the window; and what is
        revealed there, [h, w] in 0..1."""
        at = self.window.to_generator(np.stack([x, y], -1))
        at_x, at_y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
        flow = cv2.remap(self.flow.astype(np.float32), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        if self.revealed is None:
            return flow * self.window.scale, np.zeros(x.shape, np.float32)
        revealed = cv2.remap(self.revealed, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return flow * self.window.scale, revealed.astype(np.float32) * np.float32(1 / 255)


def held_after(
    way: Way, start: tuple[np.ndarray, np.ndarray], holds: Sequence[Hold], window: Window, made: Generated
) -> Held | None:
    """What drags held, after an edit in a window; None where it has no motion, or one that is no number.

    Args:
        start: the photo that the motion starts from, and the drags in it, [N, 4].
        holds: of each drag.
    """
    photo, points = start
    if made.flow is None or not made.is_finite():
        return None
    revealed = None if made.revealed is None else np.rint(made.revealed[..., 0] * 255).astype(np.uint8)
    held = Held(way, points, (), window, made.flow.astype(np.float16), revealed, weakref.ref(photo))
    moved: dict[int, np.ndarray] = {}
    for hold in holds:  # drags on one thing share a map
        if id(hold) not in moved:
            moved[id(hold)] = _moved(hold, held)
    return replace(held, maps=tuple(moved[id(hold)] for hold in holds))


def _moved(hold: Hold, held: Held) -> np.ndarray:
    """The answers of a hold after a motion, see `Held.maps`."""
    (height, width), (rows, columns) = hold.photo_shape, hold.follows.shape
    scale = np.array([width / columns, height / rows])
    to_window = scale / held.window.scale
    corner = (0.5 * scale - [held.window.left, held.window.top]) / held.window.scale - 0.5
    affine, size = np.column_stack([np.diag(to_window), corner]), (columns, rows)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP  # and 0 outside the window
    flow = cv2.warpAffine(held.flow.astype(np.float32), affine, size, flags=flags) / to_window.astype(np.float32)
    moved = warp(cv2.merge([answer.follows for answer in hold.alternatives]), flow)
    moved *= 255
    if held.revealed is not None:
        moved *= 1 - cv2.warpAffine(held.revealed, affine, size, flags=flags)[..., None] * np.float32(1 / 255)
    return np.ascontiguousarray(np.rint(moved).astype(np.uint8).transpose(2, 0, 1))


def flow_from(held: Held, flow: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """A motion that goes on with an earlier one, as a motion of the photo as it is now.

    Args:
        held: the earlier one.
        flow: float32 [H, W, 2], backward, in generator pixels of a window, from the photo that both start from.

    Returns:
        float32 [H, W, 2], backward, in photo pixels, and bool [H, W], where it is found: elsewhere what the whole
        motion shows is covered now. With f the earlier motion and p + g(p) the pixel that the whole one shows, the
        flow is c - p with c + f(c) = p + g(p), by fixed-point iteration.
    """
    x, y = np.broadcast_arrays(*grid(window.size))
    x = (x + 0.5) * window.scale[0] - 0.5 + window.left
    y = (y + 0.5) * window.scale[1] - 0.5 + window.top
    wanted_x, wanted_y = x + flow[..., 0] * window.scale[0], y + flow[..., 1] * window.scale[1]
    result, found = np.zeros_like(flow), np.zeros(x.shape, bool)
    for start_x, start_y in ((x, y), (wanted_x, wanted_y)):  # it moved along, or stands still
        at_x, at_y = start_x, start_y
        for _ in range(ROUNDS):
            earlier, _ = held.flow_at(at_x, at_y)
            at_x, at_y = wanted_x - earlier[..., 0], wanted_y - earlier[..., 1]
        earlier, uncovered = held.flow_at(at_x, at_y)
        residual = np.hypot(at_x + earlier[..., 0] - wanted_x, at_y + earlier[..., 1] - wanted_y)
        here = ~found & (residual < FOUND * held.pixel) & (uncovered < SHOWN)
        result[here] = np.stack([at_x - x, at_y - y], -1)[here]
        found |= here
    return result, found
