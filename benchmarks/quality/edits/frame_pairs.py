"""Drags with a true result, from clips: two frames of each, what moves between them, and where it goes.

python -m edgedrag.benchmarks.quality.edits.frame_pairs CLIPS -o FOLDER

Camera motion is removed by a homography. The mask is the connected region that moves, dilated by MARGIN pixels; the
truth is the later frame inside it and the earlier one outside. Left out is what the optical flow does not explain.
The same clips give the same pairs. Writes FOLDER/NAME/source.png, target.png, mask.png and FOLDER/jobs.jsonl, which
`edgedrag batch` and `edgedrag bench quality --jobs` read.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np

from edgedrag.runtime.drag.flow import grid
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside

SIDE = 384  # pixels, the shorter side of a frame
FRAMES = 300  # at most, from the start of a clip
APART = (2, 4, 8, 15, 30)  # frames between the two of a pair
TRIES = 80  # pairs of frames that are looked at in a clip
ENDINGS = {".mp4", ".mkv", ".avi", ".webm", ".gif"}
STEP = 8  # pixels between the points that the homography is fitted to
STILL = (0.35, 0.97)  # share of these points that the homography explains: less is no camera motion, more is no motion
MOVED, SEED, HANDLE = 2.0, 6.0, 4.0  # pixels of motion of the region, of the point it grows from, and of a handle
MIN_SEEDS = 200  # pixels that move by SEED
TRUSTED = 0.6  # share of the region in which forward and backward flow agree
MIN_CONTRAST = 12.0  # standard deviation, grey levels
MAX_UNEDITED, MIN_GAIN = 27.0, 4.0  # dB: of the earlier frame, and what its warp by the flow gains
MARGIN = 12  # pixels around the region in the mask
AREA = (0.01, 0.5)  # of a mask, share of the frame
DRAGS = (1, 2, 3, 5)  # of a pair

FLOW = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


@dataclass(frozen=True)
class FramePair:
    """Frames uint8 BGR [H, W, 3], mask bool [H, W], drags as `Photo.drag` takes them."""

    source: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    drags: list[tuple[tuple[float, float], tuple[float, float]]]


def disc(radius: int) -> np.ndarray:
    """A structuring element."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def read_frames(file: Path) -> list[np.ndarray]:
    """The first frames of a clip, uint8 BGR."""
    capture = cv2.VideoCapture(str(file))
    frames: list[np.ndarray] = []
    while len(frames) < FRAMES:
        more, frame = capture.read()
        if not more:
            break
        scale = SIDE / min(frame.shape[:2])
        frames.append(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return frames


def flow_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Flow from one frame to the other, float32 [H, W, 2]."""
    first, second = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in (one, other))
    return FLOW.calc(first, second, None)  # type: ignore[call-overload]


def sample(image: np.ndarray, flow: np.ndarray, border: int) -> np.ndarray:
    """`image` at each pixel's position plus flow."""
    x, y = grid(flow.shape[:2])
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=border)


def checked_flow(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow, and where the backward flow agrees with it, bool [H, W]."""
    forward, backward = flow_between(one, other), flow_between(other, one)
    gap = forward + sample(backward, forward, cv2.BORDER_CONSTANT)
    return forward, np.linalg.norm(gap, axis=-1) < 0.5 + 0.05 * np.linalg.norm(forward, axis=-1)


def without_camera_motion(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """The first frame as the camera would have seen it at the other; None if nothing or everything moves."""
    flow, agrees = checked_flow(one, other)
    ys, xs = np.mgrid[STEP // 2 : one.shape[0] : STEP, STEP // 2 : one.shape[1] : STEP].reshape(2, -1)
    ys, xs = ys[agrees[ys, xs]], xs[agrees[ys, xs]]
    if len(ys) < 60:
        return None
    points = np.stack([xs, ys], 1).astype(np.float32)
    homography, inliers = cv2.findHomography(points, points + flow[ys, xs], cv2.RANSAC, 1.0)
    if homography is None or not STILL[0] < inliers.mean() < STILL[1]:
        return None
    return cv2.warpPerspective(one, homography, one.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


def psnr(image: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    error = ((image[region].astype(float) - truth[region]) ** 2).mean()
    return float(10 * np.log10(255**2 / max(1e-3, error)))


def make_pair(frames: list[np.ndarray], draws: random.Random) -> FramePair | None:
    """A random pair of frames; None if it shows no thing whose motion the flow explains."""
    first, apart = draws.randrange(len(frames)), draws.choice(APART)
    if first + apart >= len(frames):
        return None
    source, target = without_camera_motion(frames[first], frames[first + apart]), frames[first + apart]
    if source is None:
        return None
    flow, agrees = checked_flow(source, target)
    length = np.linalg.norm(flow, axis=-1)
    seeds = np.argwhere((length > SEED) & agrees)
    if len(seeds) < MIN_SEEDS:
        return None
    seed_row, seed_column = seeds[draws.randrange(len(seeds))]
    labels = cv2.connectedComponents((length > MOVED).astype(np.uint8))[1]
    region = labels == labels[seed_row, seed_column]
    if (region & agrees).sum() < TRUSTED * region.sum() or source[region].std() < MIN_CONTRAST:
        return None
    warped = sample(source, flow_between(target, source), cv2.BORDER_REPLICATE)
    unedited = psnr(source, target, region)
    if unedited > MAX_UNEDITED or psnr(warped, target, region) < unedited + MIN_GAIN:
        return None
    mask = cv2.dilate(region.astype(np.uint8), disc(MARGIN)) > 0
    if not AREA[0] < mask.mean() < AREA[1]:
        return None
    drags = draw_drags(np.argwhere(region & agrees & (length > HANDLE)), flow, draws)
    return FramePair(source, np.where(mask[..., None], target, source), mask, drags) if drags else None


def draw_drags(
    handles: np.ndarray, flow: np.ndarray, draws: random.Random
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Drags from random handles (row, column) along the flow; those that would leave the frame are left out."""
    height, width = flow.shape[:2]
    drags = []
    for _ in range(draws.choice(DRAGS)):
        row, column = handles[draws.randrange(len(handles))].tolist()
        x, y = (float(at + flow[row, column, axis]) for axis, at in enumerate((column, row)))
        if 0 <= x < width and 0 <= y < height:
            drags.append(((column, row), (round(x, 1), round(y, 1))))
    return drags


def pairs_of(clip: Path, count: int) -> Iterator[FramePair]:
    """Up to `count` pairs of a clip."""
    draws, frames = random.Random(clip.name), read_frames(clip)
    made = 0
    for _ in range(TRIES):
        if made == count or len(frames) < 4:
            return
        pair = make_pair(frames, draws)
        if pair is not None:
            made += 1
            yield pair


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--per-clip", default=6, show_default=True, type=click.IntRange(1))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
def main(clips: Path, per_clip: int, output: Path) -> None:
    """Make pairs of frames from the clips in the folder CLIPS."""
    files = sorted(file for file in clips.rglob("*") if file.suffix in ENDINGS)
    jobs = []
    for file in files:
        count = 0
        for pair in pairs_of(file, per_clip):
            place = output / f"{file.stem}_{count}"
            place.mkdir(parents=True, exist_ok=True)
            images = {"source": pair.source, "target": pair.target, "mask": pair.mask.astype(np.uint8) * 255}
            paths = {name: str((place / f"{name}.png").resolve()) for name in images}
            for name, image in images.items():
                cv2.imwrite(paths[name], image)
            named = {"image": paths["source"], "mask": paths["mask"], "target": paths["target"]}
            jobs.append({"name": place.name, **named, "drags": pair.drags, "seed": 0})
            count += 1
        click.echo(f"{file.name}: {count} pairs")
    if not jobs:
        raise InputError(f"{clips}: no clip gives a pair")
    write_aside(output / "jobs.jsonl", "".join(json.dumps(job) + "\n" for job in jobs).encode())


if __name__ == "__main__":
    main()
