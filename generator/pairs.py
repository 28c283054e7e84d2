"""Drags mined from video: two frames of a shot, the motion between them, and where it is.

A pair is a 256 x 256 crop. `source` and `target` share a background (the camera's motion is
removed); `flow` is the backward flow of the target (target pixel p shows source pixel
p + flow(p), in pixels, x then y); `valid` says where forward and backward flow agree;
`mask` is the region that moves, in either frame.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.generator.videos import read_frames, read_split, shot_of_each_frame
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.flow import warp

SIZE = 256
GAPS = (2, 3, 5, 8, 13, 21, 34)
MOTION = 1.0  # pixels; what moves less counts as still
MOTION_RANGE = (4.0, 48.0)  # 95th percentile of the motion inside the mask, pixels
MASK_SHARE = (0.02, 0.70)
MIN_CONSISTENT = 0.55  # share of the mask where forward and backward flow must agree
MAX_OUTSIDE_CHANGE = 5.0  # mean grey-level difference allowed outside the mask


@dataclass
class Pair:
    """One mined pair; all arrays are SIZE x SIZE."""

    source: np.ndarray  # uint8 RGB
    target: np.ndarray  # uint8 RGB
    flow: np.ndarray  # float16 [H, W, 2]
    valid: np.ndarray  # bool
    mask: np.ndarray  # bool


class Rejected(Exception):
    """Why two frames make no pair, in one word."""


def dense_flow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """DIS optical flow (Kroeger et al., ECCV 2016) from grey frame a to grey frame b, float32 [H, W, 2]."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)  # type: ignore[call-overload]


def stabilise(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Resample `source` so that its background lies where the target's is."""
    flow = dense_flow(cv2.cvtColor(target, cv2.COLOR_BGR2GRAY), cv2.cvtColor(source, cv2.COLOR_BGR2GRAY))
    h, w = flow.shape[:2]
    x, y = np.meshgrid(np.arange(4, w, 8), np.arange(4, h, 8))
    at_target = np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)
    at_source = at_target + flow[y, x].reshape(-1, 2)
    homography, inliers = cv2.findHomography(at_target, at_source, cv2.RANSAC, 1.0)
    if homography is None or inliers.mean() < 0.35:
        raise Rejected("no_background")
    moved = cv2.perspectiveTransform(at_target[None], homography)[0] - at_target
    if np.abs(moved).max() < 0.25:
        return source
    if np.abs(moved).max() > 0.2 * max(h, w):
        raise Rejected("camera")
    return cv2.warpPerspective(
        source, homography, (w, h), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
    )


def motion_mask(backward: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Where something moves in either frame, without specks and holes, bool [H, W]."""
    speed = np.maximum(np.linalg.norm(backward, axis=-1), np.linalg.norm(forward, axis=-1))
    mask = (cv2.medianBlur(speed.astype(np.float32), 5) > MOTION).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    small = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] < 0.003 * mask.size]
    mask[np.isin(labels, small)] = 0
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))).astype(bool)


def make_pair(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> Pair:
    """Turn two BGR frames of one shot into a pair, or raise `Rejected` with the reason."""
    source = stabilise(source, target)
    grey_source, grey_target = (cv2.cvtColor(f, cv2.COLOR_BGR2GRAY) for f in (source, target))
    backward, forward = dense_flow(grey_target, grey_source), dense_flow(grey_source, grey_target)
    disagreement = np.linalg.norm(backward + warp(forward, backward), axis=-1)
    valid = disagreement < 0.75 + 0.05 * np.linalg.norm(backward, axis=-1)
    mask = motion_mask(backward, forward)
    # The stabilised source has black borders where the camera did not look.
    seen = cv2.erode((source.max(-1) > 0).astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=1).astype(bool)

    h, w = mask.shape
    side = int(rng.integers(int(0.75 * min(h, w)), min(h, w) + 1))
    moving = np.argwhere(mask)
    if not len(moving):
        raise Rejected("still")
    centre = moving[rng.integers(len(moving))]
    top, left = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(centre, (h, w)))
    crop = np.s_[top : top + side, left : left + side]

    def resized(array: np.ndarray, how: int = cv2.INTER_AREA) -> np.ndarray:
        return cv2.resize(array, (SIZE, SIZE), interpolation=how)

    if seen[crop].mean() < 0.98:
        raise Rejected("border")
    mask = resized(mask[crop].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
    valid = resized(valid[crop].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
    flow = resized(backward[crop], cv2.INTER_LINEAR) * (SIZE / side)
    if not MASK_SHARE[0] <= mask.mean() <= MASK_SHARE[1]:
        raise Rejected("mask_size")
    speed = np.percentile(np.linalg.norm(flow, axis=-1)[mask], 95)
    if not MOTION_RANGE[0] <= speed <= MOTION_RANGE[1]:
        raise Rejected("slow" if speed < MOTION_RANGE[0] else "fast")
    if valid[mask].mean() < MIN_CONSISTENT:
        raise Rejected("inconsistent")
    images = [resized(cv2.cvtColor(f[crop], cv2.COLOR_BGR2RGB)) for f in (source, target)]
    change = np.abs(images[0].astype(np.float32) - images[1].astype(np.float32)).mean(-1)
    if change[~mask].mean() > MAX_OUTSIDE_CHANGE:
        raise Rejected("appearance")
    return Pair(images[0], images[1], flow.astype(np.float16), valid, mask)


def mine_clip(path: Path, count: int, seed: int) -> tuple[list[Pair], Counter[str]]:
    """Up to `count` pairs of one clip, the same ones for the same seed, and the rejects by reason."""
    frames = read_frames(path)
    shots = shot_of_each_frame(frames)
    digest = hashlib.sha256(path.name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
    pairs: list[Pair] = []
    rejects: Counter[str] = Counter()
    for _ in range(4 * count):
        if len(pairs) == count:
            break
        gap = int(rng.choice(GAPS))
        first = int(rng.integers(max(1, len(frames) - gap)))
        last = min(first + gap, len(frames) - 1)
        if shots[first] != shots[last]:
            rejects["cut"] += 1
            continue
        if rng.random() < 0.5:
            first, last = last, first
        try:
            pairs.append(make_pair(frames[first], frames[last], rng))
        except Rejected as why:
            rejects[str(why)] += 1
    return pairs, rejects


def sample_points(
    flow: np.ndarray, valid: np.ndarray, mask: np.ndarray, rng: np.random.Generator, limit: int = 20
) -> np.ndarray:
    """Draw 1 to `limit` handle/target pairs where motion is strong.

    Returns float32 [N, 4] of handle x, y, target x, y in pixels; the handle lies inside the mask.
    Few points are more likely than many, as in real use.
    """
    h, w = mask.shape
    ys, xs = np.nonzero(valid & mask)
    if not len(ys):
        return np.zeros((0, 4), np.float32)
    moved = flow[ys, xs].astype(np.float32)
    weight = np.linalg.norm(moved, axis=-1) ** 2 + 1e-6
    count = min(1 + int(rng.geometric(0.45)) - 1 if rng.random() < 0.85 else int(rng.integers(4, limit + 1)), limit)
    chosen = rng.choice(len(ys), size=min(4 * max(count, 1), len(ys)), p=weight / weight.sum(), replace=False)
    points: list[tuple[float, float, float, float]] = []
    for i in chosen:
        tx, ty = float(xs[i]), float(ys[i])
        hx, hy = tx + float(moved[i, 0]), ty + float(moved[i, 1])
        inside = 0 <= hx <= w - 1 and 0 <= hy <= h - 1 and mask[round(hy), round(hx)]
        apart = all((tx - p[2]) ** 2 + (ty - p[3]) ** 2 > 64 for p in points)
        if inside and apart:
            points.append((hx, hy, tx, ty))
        if len(points) == max(count, 1):
            break
    return np.array(points, np.float32).reshape(-1, 4)


def _mine_to_file(job: tuple[Path, Path, int, int]) -> tuple[str, int, dict[str, int]]:
    path, out, count, seed = job
    cv2.setNumThreads(1)
    try:
        pairs, rejects = mine_clip(path, count, seed)
    except InputError:
        return path.name, 0, {"undecodable": 1}
    if pairs:
        arrays = {k: np.stack([getattr(p, k) for p in pairs]) for k in Pair.__annotations__}
        aside = out.with_suffix(".partial")
        with aside.open("wb") as f:
            np.savez(f, allow_pickle=False, **arrays)
        os.replace(aside, out)
    return path.name, len(pairs), dict(rejects)


def mine(videos: Sequence[Path], cache: Path, count: int = 96, seed: int = 0, workers: int = 2) -> dict:
    """Mine every clip into CACHE/SPLIT/CLIP.npz and write CACHE/report.json; finished clips are kept.

    Returns the report: pairs and rejects of each clip, with its split ("train" for a clip that
    the committed split does not name).
    """
    split = read_split()
    jobs = []
    report_file = cache / "report.json"
    report = json.loads(report_file.read_text()) if report_file.exists() else {}
    for path in sorted(videos):
        folder = cache / split.get(path.name, "train")
        folder.mkdir(parents=True, exist_ok=True)
        if path.name not in report:
            jobs.append((path, folder / (path.stem + ".npz"), count, seed))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, pairs, rejects in tqdm(pool.imap_unordered(_mine_to_file, jobs), total=len(jobs), desc="clips"):
            report[name] = {"split": split.get(name, "train"), "pairs": pairs, "rejects": rejects}
            aside = report_file.with_suffix(".partial")
            aside.write_text(json.dumps(report, indent=1, sort_keys=True))
            os.replace(aside, report_file)
    return report
