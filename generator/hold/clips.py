"""Scenes from clips: what moves alike between two frames of a shot belongs together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgedrag.generator.data.pairs import Rejected, dense_flow, stabilise
from edgedrag.generator.data.videos import read_frames, shot_of_each_frame
from edgedrag.generator.hold.scenes import (
    GROUP,
    HANDLES,
    OUTSIDE,
    PART,
    SHORT_SIDE,
    THING,
    UNKNOWN,
    Scene,
    reduced,
)
from edgedrag.runtime.drag.flow import grid, warp

FLOW_SIDE = 208  # pixels; the short side of the frames that flow is measured in
GAPS = (2, 4, 8, 15, 30)  # frames between the two of a pair
LONGEST, TRIES = 300, 3  # frames of a clip that are read; pairs tried for each that is wanted
STILL, MOVING, CLEARLY = 0.0031, 0.0052, 0.0140  # speeds, as shares of the short side
LEAST_AGREEMENT = 0.6  # share of a region where forward and backward flow must agree
LEAST_TEXTURE = 12.0  # grey levels; what is flatter may be noise and not a thing
LEAST_GAIN, MOST_LIKENESS = 4.0, 27.0  # dB by which the flow must explain a change that must be seen
AREA = (0.006, 0.55)  # least and largest share of a picture that a thing may have
DOUBT = 2.5  # grey levels; what moving explains by less may as well stay
BAND = 3  # pixels of an uncertain outline, on either side
PART_TRIES, PART_RADIUS, PART_SHARE = 4, 10, 0.85  # of the fit; a part this large is the thing


def scenes_of_clip(path: Path, wanted: int, seed: int, part: tuple[float, float] = (0.0, 1.0)) -> list[Scene]:
    """Up to `wanted` scenes of a part of a clip (from and to, as shares of it), from pairs of frames drawn at random.

    Raises:
        InputError: the file cannot be decoded as a video.
    """
    frames = read_frames(path, FLOW_SIDE, LONGEST)
    frames = frames[round(part[0] * len(frames)) : round(part[1] * len(frames))]
    shots, rng = shot_of_each_frame(frames), np.random.default_rng(seed)
    scenes: list[Scene] = []
    for _ in range(TRIES * wanted):
        if len(scenes) == wanted or len(frames) < 4:
            break
        first, gap = int(rng.integers(len(frames))), int(rng.choice(GAPS)) * int(rng.choice((-1, 1)))
        second = first + gap
        if not 0 <= second < len(frames) or shots[first] != shots[second]:
            continue
        try:
            scenes.append(scene_of_pair(frames[first], frames[second], rng))
        except Rejected:
            continue
    return scenes


def scene_of_pair(frame: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Scene:
    """What moves together in `frame` (uint8 BGR) on the way to `other`; raises Rejected with the reason."""
    side = min(frame.shape[:2])
    other = stabilise(other, frame)
    flow, agrees = checked_flow(frame, other)
    agrees &= other.max(-1) > 0
    speed = cv2.medianBlur(np.linalg.norm(flow, axis=-1), 5) / side
    _, regions = cv2.connectedComponents((speed > MOVING).astype(np.uint8))
    seeds = np.argwhere((speed > CLEARLY) & agrees & (regions > 0))
    if len(seeds) < 100:
        raise Rejected("still")
    handles, maps, judged = [], [], {}
    for y, x in rng.permutation(seeds)[: 6 * HANDLES]:
        region = int(regions[y, x])
        if region not in judged:
            judged[region] = is_thing(regions == region, frame, other, flow, agrees)
        if judged[region]:
            marks = map_of_handle((x, y), regions == region, speed, flow, agrees)
            marks = without_halo(marks, frame, other, flow)
            if marks[y, x] == PART:
                handles.append((x, y))
                maps.append(marks)
        if len(handles) == HANDLES:
            scale = SHORT_SIDE / side
            small = np.stack([reduced(m, scale, cv2.INTER_NEAREST) for m in maps])
            return Scene(reduced(frame, scale)[..., ::-1], np.array(handles, np.float32) * scale, small, True)
    raise Rejected("unclear")


def checked_flow(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow of BGR frame a to b, float32 [H, W, 2], and where the way back agrees, bool [H, W]."""
    grey_a, grey_b = (cv2.cvtColor(f, cv2.COLOR_BGR2GRAY) for f in (a, b))
    there, back = dense_flow(grey_a, grey_b), dense_flow(grey_b, grey_a)
    disagreement = np.linalg.norm(there + warp(back, there), axis=-1)
    return there, disagreement < 0.5 + 0.05 * np.linalg.norm(there, axis=-1)


def is_thing(region: np.ndarray, frame: np.ndarray, other: np.ndarray, flow: np.ndarray, agrees: np.ndarray) -> bool:
    """Whether a moving region is a thing that the flow explains, not noise on flat ground."""
    share = region.mean()
    if not AREA[0] < share < AREA[1] or (region & agrees).sum() < LEAST_AGREEMENT * region.sum():
        return False
    truth = frame[region].astype(np.float32)
    if truth.std() < LEAST_TEXTURE:
        return False
    before, after = (psnr(truth, p[region]) for p in (other, warp(other, flow)))
    return before < MOST_LIKENESS and after > before + LEAST_GAIN


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-3, ((a.astype(np.float32) - b) ** 2).mean())))


def map_of_handle(
    handle: tuple[int, int], region: np.ndarray, speed: np.ndarray, flow: np.ndarray, agrees: np.ndarray
) -> np.ndarray:
    """What moves with a point: the region that it lies in, of that its part, around it what moves besides."""
    moving = closed(speed > 0.8 * MOVING)
    _, groups = cv2.connectedComponents(moving.astype(np.uint8))
    group = groups == groups[handle[1], handle[0]]
    thing = closed(region)
    part = part_of(handle, thing, flow, agrees)
    marks = np.where(group, GROUP, OUTSIDE).astype(np.uint8)
    marks[thing] = THING
    marks[part] = PART
    uncertain = outline(thing) | outline(group) | ((speed > STILL) & ~moving & ~group)
    marks[uncertain & ~part] = UNKNOWN
    marks[outline(part) & thing & ~erode(part, BAND)] = UNKNOWN
    return marks


def without_halo(marks: np.ndarray, frame: np.ndarray, other: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The marks without the ground that smooth flow drags along beside a thing: what explains a pixel decides."""
    stays, goes = (
        cv2.blur(cv2.absdiff(frame, p).max(-1).astype(np.float32), (5, 5)) for p in (other, warp(other, flow))
    )
    held = np.isin(marks, (GROUP, THING, PART))
    marks[held & (stays < goes + DOUBT)] = UNKNOWN
    marks[held & (goes > stays + DOUBT)] = OUTSIDE
    return marks


def part_of(handle: tuple[int, int], thing: np.ndarray, flow: np.ndarray, agrees: np.ndarray) -> np.ndarray:
    """The pixels of a thing, connected with the point, that one affine motion fitted around the point explains."""
    x, y = np.broadcast_arrays(*grid(thing.shape))
    inside = thing & agrees & (np.hypot(x - handle[0], y - handle[1]) < PART_RADIUS)
    places = np.stack([x - handle[0], y - handle[1], np.ones_like(x)], -1)
    allowed = max(1.0, 0.15 * float(np.linalg.norm(flow[handle[1], handle[0]])))
    part = inside
    for _ in range(PART_TRIES):
        if inside.sum() < 40:
            break
        motion, *_ = np.linalg.lstsq(places[inside], flow[inside], rcond=None)
        error = np.linalg.norm(flow - (places @ motion).astype(np.float32), axis=-1)
        alike = closed(thing & (cv2.medianBlur(error.astype(np.float32), 5) < allowed))
        alike[handle[1], handle[0]] = True
        _, pieces = cv2.connectedComponents(alike.astype(np.uint8))
        part = pieces == pieces[handle[1], handle[0]]
        inside = part & agrees
    return thing if part.sum() > PART_SHARE * thing.sum() else part & thing


def closed(region: np.ndarray) -> np.ndarray:
    """Without holes and gaps of a few pixels, bool."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    return cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, kernel).astype(bool)


def erode(region: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.erode(
        region.astype(np.uint8), np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8), borderValue=1
    ).astype(bool)


def outline(region: np.ndarray) -> np.ndarray:
    """The band around a region's edge in which flow cannot say which side a pixel is on, bool."""
    kernel = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    return cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_GRADIENT, kernel).astype(bool)
