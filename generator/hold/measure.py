"""How well a hold fits: intersection over union with what is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from edgedrag.generator.hold.batches import SceneSet
from edgedrag.generator.hold.network import ANSWERS, Hold
from edgedrag.generator.hold.scenes import GROUP, PART, THING, UNKNOWN, Scene
from edgedrag.runtime.photo.picture import Picture, save_picture

SIZES = (12_000, 24_576, 49_152)  # pixels of a picture as the network looks at it, about: best on held-out scenes
LEVEL = 0.3  # from which share on a pixel counts as held
FINGER = 4  # pixels around a point that are held in any case
SHEET_ROWS = 12

Holder = Callable[[np.ndarray, tuple[float, float]], np.ndarray]  # photo, point -> answers [K, H, W] in 0..1


def overlap(held: np.ndarray, true: np.ndarray, known: np.ndarray | None = None) -> float:
    """Intersection over union of two bool maps, where the truth is known."""
    if known is not None:
        held, true = held & known, true & known
    return float((held & true).sum() / max(1, (held | true).sum()))


@torch.no_grad()
def answers(model: Hold, photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The model's answers for points [K, 2] of a photo (uint8 RGB), float32 [K, 3, H, W] in 0..1.

    They are the mean over SIZES: small pictures show the whole of large things, large ones their outlines.
    """
    height, width = photo.shape[:2]
    large = np.zeros((len(points), len(ANSWERS), height, width), np.float32)
    for pixels in SIZES:
        scale = (pixels / (height * width)) ** 0.5
        size = tuple(max(32, round(side * scale / 32) * 32) for side in (width, height))
        small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        at = ((np.asarray(points, np.float32) + 0.5) * np.array(size) / (width, height) - 0.5).astype(np.float32)
        in_picture = torch.zeros(len(at), dtype=torch.int64)
        found = torch.sigmoid(model(torch.from_numpy(small)[None], torch.from_numpy(at), in_picture)).numpy()
        for number, each in enumerate(found):
            for answer, grey in enumerate(each):
                large[number, answer] += cv2.resize(grey, (width, height)) / len(SIZES)
    return large


def connected(answer: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    """What of an answer, float32 [H, W], is held: above LEVEL and connected with the point, bool."""
    held = (answer > LEVEL).astype(np.uint8)
    x, y = (int(np.clip(round(v), 0, n - 1)) for v, n in zip(point, answer.shape[::-1]))
    cv2.circle(held, (x, y), FINGER, 1, -1)
    _, pieces = cv2.connectedComponents(held)
    return pieces == pieces[y, x]


class HoldValidation:
    """Up to `limit` scenes of each kind of a folder, spread over its files, always the same."""

    def __init__(self, folder: Path, limit: int = 24):
        self.scenes: dict[str, list[Scene]] = {}
        for kind, files in SceneSet(folder).kinds.items():
            per_file = -(-limit // len(files))
            self.scenes[kind] = [
                f[i] for f in files for i in np.unique(np.linspace(0, len(f) - 1, per_file).astype(int))
            ]

    def measure(self, model: Hold, sheet: Path | None = None) -> dict[str, float]:
        """Mean overlap of each answer by kind, and of the best answer with the thing."""
        scores: dict[str, list[float]] = {}
        rows = []
        for kind, scenes in self.scenes.items():
            for number, scene in enumerate(scenes):
                found = answers(model, scene.picture, scene.handles)
                for point, marks, answer in zip(scene.handles, scene.maps, found):
                    known, thing = marks != UNKNOWN, (marks >= THING) & (marks != UNKNOWN)
                    part, _, group = held = [connected(a, point) for a in answer]
                    each = [overlap(h, thing, known) for h in held]
                    scores.setdefault(f"{kind}_thing", []).append(each[1])
                    scores.setdefault(f"{kind}_best", []).append(max(each))
                    scores.setdefault(f"{kind}_group", []).append(overlap(group, marks >= GROUP, known))
                    if scene.parts_known:
                        scores.setdefault(f"{kind}_part", []).append(overlap(part, marks == PART, known))
                if number % max(1, len(scenes) * len(self.scenes) // SHEET_ROWS) == 0:
                    rows.append(draw_row(scene, found))
        if sheet is not None:
            save_picture(sheet, Picture(np.vstack(rows)))
        return {name: float(np.mean(values)) for name, values in scores.items()}


def draw_row(scene: Scene, found: np.ndarray) -> np.ndarray:
    """A scene's first two points: the map, then the answers, uint8 RGB."""
    tiles = []
    for (x, y), marks, answer in zip(scene.handles[:2], scene.maps, found):
        known = np.where(marks == UNKNOWN, 80, marks * 85).astype(np.uint8)
        for grey in (known, *(answer * 255)):
            tile = np.repeat(grey.astype(np.float32)[..., None], 3, -1) * 0.6 + scene.picture * 0.4
            tile = np.clip(tile, 0, 255).astype(np.uint8)
            cv2.circle(tile, (round(float(x)), round(float(y))), 3, (255, 0, 0), -1)
            tiles.append(cv2.resize(tile, (160, 120), interpolation=cv2.INTER_AREA))
    assert len(ANSWERS) == found.shape[1]
    return np.hstack(tiles)
