"""Scenes made of cut-outs over other grounds, and of stills whose salient thing is known: outlines to the pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgedrag.generator.hold.saliency import SalientThing
from edgedrag.generator.hold.scenes import GROUP, HANDLES, OUTSIDE, PART, SHORT_SIDE, THING, UNKNOWN, Scene
from edgedrag.runtime.errors import InputError

PART_RADIUS = 4.0  # pixels around a point that are surely of its part
SIZES = (0.16, 0.95)  # least and largest length of a thing, as shares of the picture's side
MOST_THINGS = 4
LEAST_SEEN = 0.004  # share of the picture; of what is hidden more than that nothing can be grabbed


@dataclass(frozen=True)
class CutOut:
    """A thing without its ground: uint8 RGB [H, W, 3] and alpha float32 [H, W] in 0..1."""

    picture: np.ndarray
    alpha: np.ndarray


def read_cut_out(file: Path) -> CutOut:
    """A cut-out from an RGBA file.

    Raises:
        InputError: not such a file.
    """
    pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise InputError(f"{file}: not a picture with an alpha channel")
    return CutOut(np.ascontiguousarray(pixels[..., 2::-1]), pixels[..., 3].astype(np.float32) / 255)


def cut_out(picture: np.ndarray, thing: SalientThing) -> CutOut:
    """A salient thing of a still (uint8 RGB), its edge soft where the label is not sure."""
    ys, xs = np.nonzero(~thing.around)
    box = np.s_[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    alpha = np.where(thing.inside, 1.0, np.where(thing.around, 0.0, 0.5)).astype(np.float32)
    return CutOut(picture[box], cv2.GaussianBlur(alpha, (0, 0), 1.0)[box])


def scene_of_cut_outs(cut_outs: list[CutOut], ground: np.ndarray, rng: np.random.Generator) -> Scene | None:
    """One to MOST_THINGS things over a ground (uint8 RGB, SHORT_SIDE square); None where nothing can be grabbed."""
    picture: np.ndarray = ground.astype(np.float32)
    owner = np.zeros(ground.shape[:2], np.uint8)
    for number in range(1, 1 + int(rng.integers(1, MOST_THINGS + 1))):
        pixels, alpha = placed(cut_outs[rng.integers(len(cut_outs))], rng)
        if rng.random() < 0.6:
            picture *= 1 - shadow(alpha, rng)[..., None]
        picture += alpha[..., None] * (pixels - picture)
        owner[alpha > 0.5] = number
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.0))
    picture += rng.normal(0, rng.uniform(0, 2), picture.shape)
    return scene_of_owners(np.clip(picture, 0, 255).astype(np.uint8), owner, rng)


def placed(thing: CutOut, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A cut-out turned, resized, recoloured and put somewhere: float32 RGB and alpha of a SHORT_SIDE square."""
    height, width = thing.alpha.shape
    length = np.exp(rng.uniform(*np.log(SIZES))) * SHORT_SIDE
    scale, turn = length / max(height, width), np.deg2rad(rng.normal(0, 20))
    aspect, flip = np.exp(rng.normal(0, 0.1)), rng.choice((-1.0, 1.0))
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = turned @ np.diag([flip * aspect, 1 / aspect])
    centre = rng.uniform(0.1, 0.9, 2) * SHORT_SIDE
    affine = np.column_stack([matrix, centre - matrix @ (np.array([width, height]) / 2)])
    # What is reduced much is blurred first: the sampling below looks at four pixels.
    blur = 0.4 / scale if scale < 0.8 else 0.0
    pixels: np.ndarray = thing.picture.astype(np.float32)
    alpha = thing.alpha
    if blur:
        pixels = cv2.GaussianBlur(pixels * alpha[..., None], (0, 0), blur)
        soft = cv2.GaussianBlur(alpha, (0, 0), blur)
        pixels, alpha = pixels / np.maximum(soft, 1e-3)[..., None], soft
    size = (SHORT_SIDE, SHORT_SIDE)
    pixels = cv2.warpAffine(pixels, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(alpha, affine, size, flags=cv2.INTER_LINEAR)
    lit = (pixels / 255) ** np.exp(rng.normal(0, 0.25)) * 255 * rng.normal(1, 0.08, 3)
    return np.clip(lit, 0, 255).astype(np.float32), alpha


def shadow(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much darker a thing makes the ground, in 0..1."""
    shift = np.array([[1, 0, rng.normal(0, 8)], [0, 1, abs(rng.normal(0, 8))]])
    cast = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
    return cv2.GaussianBlur(cast, (0, 0), rng.uniform(1, 8)) * float(rng.uniform(0.15, 0.6))


def scene_of_owners(picture: np.ndarray, owner: np.ndarray, rng: np.random.Generator) -> Scene | None:
    """A scene from the number of the thing that each pixel shows, 0 for the ground, UNKNOWN where it may be either."""
    things = [n for n in np.unique(owner) if n not in (0, UNKNOWN) and (owner == n).mean() > LEAST_SEEN]
    if not things:
        return None
    _, groups = cv2.connectedComponents(((owner != 0) & (owner != UNKNOWN)).astype(np.uint8))
    handles, maps = [], []
    for place in range(HANDLES):
        thing = owner == (things[place] if place < len(things) else rng.choice(things))
        y, x = point_inside(thing, rng)
        marks = np.where(groups == groups[y, x], GROUP, OUTSIDE).astype(np.uint8)
        marks[thing] = THING
        cv2.circle(near := np.zeros_like(marks), (int(x), int(y)), int(PART_RADIUS), 1, -1)
        marks[thing & (near > 0)] = PART
        marks[owner == UNKNOWN] = UNKNOWN
        handles.append((x, y))
        maps.append(marks)
    return Scene(picture, np.array(handles, np.float32), np.array(maps), False)


def point_inside(thing: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """A pixel of a thing, y and x, away from its edge where it is wide enough."""
    eroded = cv2.erode(thing.astype(np.uint8), np.ones((5, 5), np.uint8))
    places = np.argwhere(eroded if eroded.any() else thing)
    y, x = places[rng.integers(len(places))]
    return int(y), int(x)


def square_view(picture: np.ndarray, least: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """A random square of `least` to all of the shorter side of a picture."""
    height, width = picture.shape[:2]
    side = int(rng.uniform(least, 1.0) * min(height, width))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return np.s_[top : top + side, left : left + side]


def scene_of_still(picture: np.ndarray, things: list[SalientThing], rng: np.random.Generator) -> Scene | None:
    """A square of a still (uint8 RGB) with points on its salient things; None where none is in it."""
    owner = np.full(picture.shape[:2], UNKNOWN, np.uint8)
    owner[np.all([t.around for t in things], 0)] = 0
    for number, thing in enumerate(things, 1):
        owner[thing.inside] = number
    view = square_view(picture, 0.7, rng)
    size = (SHORT_SIDE, SHORT_SIDE)
    small = cv2.resize(picture[view], size, interpolation=cv2.INTER_AREA)
    return scene_of_owners(small, cv2.resize(owner[view], size, interpolation=cv2.INTER_NEAREST), rng)
