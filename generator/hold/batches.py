"""Training batches of scenes: turned, cropped, recoloured pictures with a few of their points each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from edgedrag.generator.hold.scenes import CLIPS, KINDS, SHORT_SIDE, UNKNOWN, Scene, read_scenes
from edgedrag.runtime.errors import InputError

SCALES = (0.5, 1.8)  # of a scene's size
TURN = 8.0  # degrees, one standard deviation
TRIES = 8  # of a crop that has a point in it


@dataclass(frozen=True)
class HoldBatch:
    """Pictures and points in them.

    Attributes:
        pictures: float32 [B, 3, S, S] in -1..1.
        points: float32 [N, 2], x and y in pixels; picture_of: int64 [N], the picture that each is in.
        maps: uint8 [N, S/2, S/2], as in `Scene`.
        parts_known: bool [N].
    """

    pictures: Tensor
    points: Tensor
    picture_of: Tensor
    maps: Tensor
    parts_known: Tensor

    def to(self, device: torch.device) -> HoldBatch:
        return HoldBatch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def kind_of(file: Path) -> str:
    return next((kind for kind in KINDS if file.name.startswith(kind)), CLIPS)


class SceneSet:
    """The scenes of one split in memory, by kind and file."""

    def __init__(self, folder: Path):
        files = sorted(folder.glob("*.npz"))
        if not files:
            raise InputError(f"{folder}: no scenes here; make them with `python -m edgedrag.generator.hold pack`")
        digest = hashlib.sha256()
        self.kinds: dict[str, list[list[Scene]]] = {}
        for file in files:
            digest.update(file.name.encode() + file.read_bytes())
            if scenes := read_scenes(file):
                self.kinds.setdefault(kind_of(file), []).append(scenes)
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        return sum(len(scenes) for files in self.kinds.values() for scenes in files)

    def draw(self, shares: dict[str, float], rng: np.random.Generator) -> Scene:
        """A scene of a kind drawn by `shares`; within a kind larger files come more often, but not in proportion."""
        kinds = sorted(self.kinds)
        weights = np.array([shares.get(kind, 0.0) for kind in kinds])
        files = self.kinds[kinds[rng.choice(len(kinds), p=weights / weights.sum())]]
        sizes = np.array([len(scenes) for scenes in files]) ** 0.5
        scenes = files[rng.choice(len(files), p=sizes / sizes.sum())]
        return scenes[rng.integers(len(scenes))]


def batches(
    scenes: SceneSet, shares: dict[str, float], size: int, rows: int, points: int, seed: int, start: int
) -> Iterator[HoldBatch]:
    """Batches of `rows` pictures of `size` pixels with `points` points each, from step `start` on."""
    step = start
    while True:
        rng = np.random.default_rng((seed, step))
        yield batch_of([row_of(scenes.draw(shares, rng), size, points, rng) for _ in range(rows)])
        step += 1


Row = tuple[np.ndarray, np.ndarray, np.ndarray, bool]  # picture, points, maps, whether parts are known


def batch_of(rows: list[Row]) -> HoldBatch:
    pictures = np.stack([r[0].astype(np.float32).transpose(2, 0, 1) for r in rows]) / 127.5 - 1
    counts = [len(r[1]) for r in rows]
    return HoldBatch(
        torch.from_numpy(pictures),
        torch.from_numpy(np.concatenate([r[1] for r in rows]).astype(np.float32)),
        torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
        torch.from_numpy(np.concatenate([r[2] for r in rows])),
        torch.from_numpy(np.repeat(np.array([r[3] for r in rows]), counts)),
    )


def row_of(scene: Scene, size: int, points: int, rng: np.random.Generator) -> Row:
    """A view of a scene as a square of `size` pixels, with `points` of the points in it (some may come twice)."""
    for _ in range(TRIES):
        affine = view_around(scene, size, rng)
        moved = scene.handles @ affine[:, :2].T + affine[:, 2]
        inside = np.nonzero(((moved >= 2) & (moved < size - 2)).all(1))[0]
        if len(inside):
            break
    else:
        raise AssertionError("a view is drawn around one of the scene's points")
    chosen = rng.permutation(np.resize(rng.permutation(inside), points))
    picture = cv2.warpAffine(scene.picture, affine, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    half = affine / 2 - np.array([[0, 0, 0.25]] * 2)  # the centres of pixels twice as large
    maps = [
        cv2.warpAffine(scene.maps[i], half, (size // 2,) * 2, flags=cv2.INTER_NEAREST, borderValue=UNKNOWN)
        for i in chosen
    ]
    return recoloured(picture, rng), moved[chosen], np.stack(maps), scene.parts_known


def view_around(scene: Scene, size: int, rng: np.random.Generator) -> np.ndarray:
    """An affine map, float64 [2, 3], of a scene's pixels to those of a view that one of its points is in."""
    scale = np.exp(rng.uniform(*np.log(SCALES))) * size / SHORT_SIDE
    turn, flip = np.deg2rad(rng.normal(0, TURN)), rng.choice((-1.0, 1.0))
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([flip, 1.0])
    handle = scene.handles[rng.integers(len(scene.handles))]
    height, width = scene.picture.shape[:2]
    # The middle of the view is drawn between the point and the scene's middle, give or take.
    share = rng.uniform(0, 1)
    middle = share * handle + (1 - share) * np.array([width, height]) / 2
    middle = middle + rng.normal(0, 0.12, 2) * size / scale
    middle = np.clip(middle, handle - 0.42 * size / scale, handle + 0.42 * size / scale)
    return np.column_stack([matrix, np.array([size, size]) / 2 - matrix @ middle])


def recoloured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other light, colours, noise and sharpness; uint8 RGB."""
    changed = picture.astype(np.float32) / 255
    if rng.random() < 0.1:
        changed[:] = changed.mean(-1, keepdims=True)
    grey = changed.mean(-1, keepdims=True)
    changed = grey + (changed - grey) * np.exp(rng.normal(0, 0.3))
    changed = np.clip(changed * rng.normal(1, 0.06, 3), 0, 1) ** np.exp(rng.normal(0, 0.25))
    if rng.random() < 0.2:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.4, 1.2))
    changed += rng.normal(0, rng.uniform(0, 0.02), changed.shape)
    return np.clip(changed * 255, 0, 255).astype(np.uint8)
