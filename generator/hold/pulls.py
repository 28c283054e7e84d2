"""One-finger pulls without a mask: a hold's overlap with what truly moves, beside holds that nothing was taught.

They come from held-out scenes, or from a file of jobs, which has a JSON object a line: `image` and `mask` (files; the
mask is what truly moves, with a margin) and `drags`, of which the longest one's handle is where the finger goes down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgedrag.generator.hold.batches import SceneSet
from edgedrag.generator.hold.checkpoint import load_hold
from edgedrag.generator.hold.measure import answers, connected, overlap
from edgedrag.generator.hold.network import ANSWERS
from edgedrag.generator.hold.scenes import CLIPS, THING, UNKNOWN
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.hold.grabcut import REACHES, cut

GRABCUT_SIDE = 256  # pixels; the longer side of GrabCut's picture
GRABCUT_ROUNDS = 4
DISC = 0.25  # radius of the plain disc, as a share of the longer side
SCENES = 12  # held-out ones of a kind, about


@dataclass(frozen=True)
class Pull:
    """A photo (uint8 RGB), where a finger goes down (x, y in pixels), what moves, and where that is known (bool)."""

    photo: np.ndarray
    handle: tuple[float, float]
    moves: np.ndarray
    known: np.ndarray


def pulls_of_scenes(folder: Path, kind: str) -> Iterator[Pull]:
    """A pull of each point of about SCENES scenes of a kind, spread over its files; the thing is what moves."""
    files = SceneSet(folder).kinds.get(kind, [])
    for scenes in files:
        for index in np.unique(np.linspace(0, len(scenes) - 1, -(-SCENES // len(files))).astype(int)):
            scene = scenes[index]
            for (x, y), marks in zip(scene.handles, scene.maps):
                yield Pull(scene.picture, (float(x), float(y)), (marks >= THING) & (marks != UNKNOWN), marks != UNKNOWN)


def read_pulls(jobs: Path) -> Iterator[Pull]:
    """The pulls of a file of jobs.

    Raises:
        InputError: not such a file, or a picture of it cannot be read.
    """
    try:
        rows = [json.loads(line) for line in jobs.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{jobs}: not a file of jobs ({error})") from None
    for number, row in enumerate(rows, 1):
        try:
            photo, mask = cv2.imread(row["image"]), cv2.imread(row["mask"], cv2.IMREAD_GRAYSCALE)
            handle, _ = max(row["drags"], key=lambda drag: np.hypot(*np.subtract(*drag)))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{jobs}: line {number} is no job ({error!r})") from None
        if photo is None or mask is None:
            raise InputError(f"{jobs}: line {number}: {row['image']} or {row['mask']} cannot be read")
        at, photo = (float(handle[0]), float(handle[1])), np.ascontiguousarray(photo[..., ::-1])
        yield Pull(photo, at, mask > 127, np.ones(mask.shape, bool))


def grabcut_hold(photo: np.ndarray, handle: tuple[float, float], reach: float) -> np.ndarray:
    """What GrabCut holds at a point, bool [H, W]: the runtime's, on a larger picture and with more rounds."""
    height, width = photo.shape[:2]
    scale = min(1.0, GRABCUT_SIDE / max(height, width))
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    held = cut(small, (np.array(handle) * scale).astype(int), reach, GRABCUT_ROUNDS)
    return connected(cv2.resize(held, (width, height)), handle)


def disc_hold(photo: np.ndarray, handle: tuple[float, float]) -> np.ndarray:
    """All within DISC of a point, bool [H, W]."""
    y, x = np.ogrid[: photo.shape[0], : photo.shape[1]]
    return np.hypot(x - handle[0], y - handle[1]) < DISC * max(photo.shape[:2])


def judge(place: Path, checkpoint: Path | None, kind: str = CLIPS) -> dict[str, float]:
    """Mean overlap (intersection over union) with what moves, of each way to hold; "pulls" is how many there were.

    Args:
        place: a file of jobs, or a folder of scenes, of which those of `kind` are judged.
        checkpoint: a trained hold; its three answers and the best of them are judged too.

    Raises:
        InputError: as `read_pulls`, `SceneSet` or `load_hold`; no pulls.
    """
    model = load_hold(checkpoint)[0] if checkpoint is not None else None
    scores: dict[str, list[float]] = {}
    for pull in pulls_of_scenes(place, kind) if place.is_dir() else read_pulls(place):
        held = {"disc": disc_hold(pull.photo, pull.handle)}
        held |= {f"grabcut_{reach}": grabcut_hold(pull.photo, pull.handle, reach) for reach in REACHES}
        if model is not None:
            soft = answers(model, pull.photo, np.array([pull.handle]))[0]
            held |= {name: connected(answer, pull.handle) for name, answer in zip(ANSWERS, soft)}
        found = {name: overlap(each, pull.moves, pull.known) for name, each in held.items()}
        if model is not None:
            found["best"] = max(found[name] for name in ANSWERS)
        for name, value in found.items():
            scores.setdefault(name, []).append(value)
    if not scores:
        raise InputError(f"{place}: no pulls in it")
    return {"pulls": len(scores["disc"]), **{name: round(float(np.mean(v)), 3) for name, v in scores.items()}}
