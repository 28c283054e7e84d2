"""Scenes: a picture, points on the things in it, and for each point what moves with it.

A map of a point is uint8 [H, W]. Its values are nested: PART is within the thing, the thing within the group.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_file

OUTSIDE, GROUP, THING, PART, UNKNOWN = 0, 1, 2, 3, 255
CLIPS, KINDS = "clips", ("composites", "stills", "rendered")  # kinds of scenes; files of the latter begin so
SHORT_SIDE = 192  # pixels of a scene
HANDLES = 4  # points of a scene
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Scene:
    """A picture and what its points hold.

    Attributes:
        picture: uint8 RGB [H, W, 3].
        handles: float32 [K, 2], x and y in pixels.
        maps: uint8 [K, H, W]: OUTSIDE; GROUP, what moves beside the thing and touches it; THING; PART, what moves
            exactly as the point does; UNKNOWN.
        parts_known: whether THING means "not of the part"; otherwise the part is somewhere within the thing.
    """

    picture: np.ndarray
    handles: np.ndarray
    maps: np.ndarray
    parts_known: bool


def write_scenes(file: Path, scenes: list[Scene]) -> None:
    """Write scenes of equal size and equal `parts_known` as one .npz, whole or not at all."""
    jpegs = [encode(s.picture) for s in scenes]
    with aside_file(file.parent) as aside:
        with aside.open("wb") as stream:
            np.savez_compressed(
                stream,
                jpegs=np.concatenate(jpegs) if jpegs else np.zeros(0, np.uint8),
                sizes=np.array([len(j) for j in jpegs], np.int64),
                handles=np.array([s.handles for s in scenes], np.float32),
                maps=np.array([s.maps for s in scenes], np.uint8),
                parts_known=np.array(bool(scenes and scenes[0].parts_known)),
            )
        os.replace(aside, file)


def read_scenes(file: Path) -> list[Scene]:
    """Read what `write_scenes` wrote.

    Raises:
        InputError: not such a file.
    """
    try:
        with np.load(file) as stored:
            jpegs, sizes, handles, maps = (stored[k] for k in ("jpegs", "sizes", "handles", "maps"))
            known = bool(stored["parts_known"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{file}: not a file of scenes ({error})") from None
    parts = np.split(jpegs, np.cumsum(sizes)[:-1]) if len(sizes) else []
    return [Scene(decode(j), h, m, known) for j, h, m in zip(parts, handles, maps)]


def encode(picture: np.ndarray) -> np.ndarray:
    """A picture, uint8 RGB, as the bytes of a JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()


def decode(jpeg: np.ndarray) -> np.ndarray:
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1])


def reduced(array: np.ndarray, scale: float, how: int = cv2.INTER_AREA) -> np.ndarray:
    """A picture or map, enlarged or reduced by `scale`."""
    return cv2.resize(array, None, fx=scale, fy=scale, interpolation=how)
