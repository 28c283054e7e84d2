"""Drags mined from video: two frames of a shot, the motion between them, and where it is.

A pair is a 256 x 256 crop. `source` and `target` share a background (the camera's motion is
removed); `flow` is the backward flow of the target (target pixel p shows source pixel
p + flow(p), in pixels, x then y); `valid` says where forward and backward flow agree;
`mask` is the region that moves, in either frame; `kind` is "video", or the motion that was made
from a still frame (`made_motion.KINDS`).
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.generator.made_motion import KINDS, make_motion
from edgedrag.generator.videos import SUFFIXES, read_frames, shot_of_each_frame, split_of
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.flow import warp
from edgedrag.runtime.image import Picture, save_picture, write_aside
from edgedrag.runtime.sheet import draw_drag

SIZE = 256
GAPS = (2, 60)  # frames between the two of a pair, least and most
PARTS = {"train": (0.0, 0.75), "held_out": (0.8, 1.0)}  # of a clip that is split by time
MIN_CORNER = 1e-4  # eigenvalue of the structure tensor over 7 x 7 pixels of a picture in 0..1
TRIES = 4  # gaps tried from one first frame: longer where too little moves, shorter where too much
MOTION = 1.0  # pixels; what moves less counts as still
MOTION_RANGE = (4.0, 48.0)  # 95th percentile of the motion inside the mask, pixels,
MADE_RANGE = (4.0, 96.0)  # and where it was made, so that it is known however far it goes
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
    kind: str = "video"


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


def random_crop(
    shape: tuple[int, ...], centre: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[slice, slice], int]:
    """A square of 3/4 to all of the shorter side, around `centre` (row, column) as far as it fits, and its side."""
    h, w = shape[:2]
    side = int(rng.integers(int(0.75 * min(h, w)), min(h, w) + 1))
    top, left = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(centre, (h, w)))
    return np.s_[top : top + side, left : left + side], side


def resized(array: np.ndarray, how: int = cv2.INTER_AREA) -> np.ndarray:
    return cv2.resize(array, (SIZE, SIZE), interpolation=how)


def check_motion(flow: np.ndarray, mask: np.ndarray, reach: tuple[float, float] = MOTION_RANGE) -> None:
    """Raise Rejected where too little or too much moves to learn a drag from."""
    share = mask.mean()
    if share < MASK_SHARE[0]:
        raise Rejected("small")
    if share > MASK_SHARE[1]:
        raise Rejected("large")
    speed = np.percentile(np.linalg.norm(flow, axis=-1)[mask], 95)
    if not reach[0] <= speed <= reach[1]:
        raise Rejected("slow" if speed < reach[0] else "fast")


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

    moving = np.argwhere(mask)
    if not len(moving):
        raise Rejected("still")
    crop, side = random_crop(mask.shape, moving[rng.integers(len(moving))], rng)
    if seen[crop].mean() < 0.98:
        raise Rejected("border")
    mask = resized(mask[crop].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
    valid = resized(valid[crop].astype(np.uint8), cv2.INTER_NEAREST).astype(bool)
    flow = resized(backward[crop], cv2.INTER_LINEAR) * (SIZE / side)
    check_motion(flow, mask)
    if valid[mask].mean() < MIN_CONSISTENT:
        raise Rejected("inconsistent")
    images = [resized(cv2.cvtColor(f[crop], cv2.COLOR_BGR2RGB)) for f in (source, target)]
    change = np.abs(images[0].astype(np.float32) - images[1].astype(np.float32)).mean(-1)
    if change[~mask].mean() > MAX_OUTSIDE_CHANGE:
        raise Rejected("appearance")
    return Pair(images[0], images[1], flow.astype(np.float16), valid, mask)


def clip_seed(path: Path, seed: int) -> list[int]:
    """Seeds that depend on the clip's name, not on its place in the list."""
    return [seed, int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:8], "little")]


def video_pairs(
    frames: list[np.ndarray], shots: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[list[Pair], Counter[str]]:
    """Up to `count` pairs of frames, and the rejects by reason.

    The gap adapts to the clip: each first frame is tried with growing gaps while too little moves, with
    shrinking ones while too much does, so that slow and fast clips both serve.
    """
    pairs: list[Pair] = []
    rejects: Counter[str] = Counter()
    for _ in range(2 * count):
        if len(pairs) == count or len(frames) < 2:
            break
        gap = float(np.exp(rng.uniform(*np.log(GAPS))))
        first = int(rng.integers(len(frames)))
        direction = int(rng.choice([-1, 1]))
        for _ in range(TRIES):
            last = first + direction * round(gap)
            if not 0 <= last < len(frames) or shots[first] != shots[last]:
                rejects["cut" if 0 <= last < len(frames) else "end"] += 1
                gap /= 2
            else:
                try:
                    pairs.append(make_pair(frames[first], frames[last], rng))
                    break
                except Rejected as why:
                    rejects[str(why)] += 1
                    gap *= 2 if str(why) in ("still", "slow", "small") else 0.5
            if not GAPS[0] <= round(gap) <= GAPS[1]:
                break
    return pairs, rejects


def made_pairs(frames: list[np.ndarray], count: int, rng: np.random.Generator) -> list[Pair]:
    """`count` pairs of motion made from stills of the clip, the kinds in turn; those that fail a check are left out."""
    pairs: list[Pair] = []
    for number in range(count):
        stills = []
        for index in rng.integers(len(frames), size=2):
            h, w = frames[index].shape[:2]
            crop, _ = random_crop((h, w), rng.uniform(0, 1, 2) * [h, w], rng)
            stills.append(cv2.cvtColor(resized(frames[index][crop]), cv2.COLOR_BGR2RGB))
        try:
            pairs.append(made_pair(stills[0], stills[1], KINDS[number % len(KINDS)], rng))
        except Rejected:
            continue
    return pairs


def made_pair(still: np.ndarray, other: np.ndarray, kind: str, rng: np.random.Generator) -> Pair:
    """A pair of a kind of made motion from two stills, uint8 RGB [SIZE, SIZE, 3], or Rejected with the reason."""
    arrays = make_motion(still, other[::-1] if rng.random() < 0.5 else other, kind, rng)
    check_motion(arrays["flow"], arrays["mask"], MADE_RANGE)
    return Pair(**{**arrays, "flow": arrays["flow"].astype(np.float16)}, kind=kind)


@dataclass(frozen=True)
class Job:
    """What to mine of one clip: the part between two shares of its length, into one file."""

    path: Path
    split: str
    part: tuple[float, float]
    count: int
    made: int
    seed: int


def mine_clip(job: Job) -> tuple[list[Pair], dict[str, Any]]:
    """Up to `count` pairs of frames and `made` pairs from stills, the same ones for the same seed.

    Returns the pairs and the clip's entry of the report: frames, pairs by kind, rejects by reason, and,
    where there is no pair of frames, why the clip was skipped; such a clip gives no stills either.

    Raises:
        InputError: the file cannot be decoded as a video.
    """
    whole = read_frames(job.path)
    frames = whole[int(job.part[0] * len(whole)) : int(job.part[1] * len(whole))] or whole[-1:]
    shots = shot_of_each_frame(frames)
    rng = np.random.default_rng(clip_seed(job.path, job.seed))
    pairs, rejects = video_pairs(frames, shots, job.count, rng)
    entry: dict[str, Any] = {"frames": len(frames), "shots": int(shots[-1]) + 1, "rejects": dict(rejects)}
    if pairs:
        pairs += made_pairs(frames, job.made, rng)
    else:
        longest = int(np.bincount(shots).max())
        entry["skipped"] = "all cuts" if len(frames) > 2 and longest <= GAPS[0] else "no motion to learn from"
    entry["pairs"] = dict(Counter(pair.kind for pair in pairs))
    return pairs, entry


def draggable(target: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Where a drag may end, bool [H, W]: the motion is known there, and there is something to grab.

    On flat ground and along straight edges flow is a guess (the aperture problem), and people grab corners:
    the structure tensor's smaller eigenvalue tells them (Shi and Tomasi, CVPR 1994).

    Args:
        target: uint8 RGB [H, W, 3]. valid: bool [H, W].
    """
    grey = cv2.cvtColor(target, cv2.COLOR_RGB2GRAY)
    return valid & (cv2.cornerMinEigenVal(grey, 7) > MIN_CORNER)


def sample_points(
    flow: np.ndarray, valid: np.ndarray, mask: np.ndarray, rng: np.random.Generator, limit: int = 20
) -> np.ndarray:
    """Draw 1 to `limit` handle/target pairs where motion is strong.

    `valid` says where targets may lie, see `draggable`.

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


def _mine_to_file(task: tuple[Job, Path]) -> tuple[str, dict[str, Any]]:
    job, cache = task
    cv2.setNumThreads(1)
    try:
        pairs, entry = mine_clip(job)
    except InputError:
        return job.path.name, {"split": job.split, "skipped": "cannot be decoded", "pairs": {}, "rejects": {}}
    if pairs:
        arrays = {f.name: np.stack([getattr(p, f.name) for p in pairs]) for f in fields(Pair)}
        out = cache / job.split / f"{job.path.name}.npz"
        aside = out.with_suffix(".partial")
        with aside.open("wb") as f:
            np.savez(f, allow_pickle=False, **arrays)
        os.replace(aside, out)
    return job.path.name, {"split": job.split, **entry}


def find_clips(videos: Sequence[Path]) -> list[Path]:
    """Files as given, folders searched through for clips by their suffix, sorted by name.

    Raises:
        InputError: nothing there, or two clips of one name.
    """
    clips: list[Path] = []
    for video in videos:
        if not video.exists():
            raise InputError(f"{video}: no such file or folder")
        inside = [p for p in video.rglob("*") if p.suffix.lower() in SUFFIXES] if video.is_dir() else [video]
        if not inside:
            raise InputError(f"{video}: no clips ({', '.join(SUFFIXES)}) in this folder")
        clips += inside
    clips.sort(key=lambda p: p.name)
    for one, two in pairwise(clips):
        if one.name == two.name:
            raise InputError(f"{one} and {two}: two clips of one name; rename one")
    return clips


def mine(
    videos: Sequence[Path],
    cache: Path,
    count: int = 96,
    made: int = 48,
    seed: int = 0,
    workers: int = 2,
    by_time: bool = False,
) -> dict[str, Any]:
    """Mine every clip into CACHE/SPLIT/CLIP.npz, with CACHE/report.json and a picture, CACHE/sheet.png.

    A stopped run goes on where it was: clips in the report are kept. A clip is on one side of the split
    (see `split_of`), or, `by_time`, its first three quarters are for training and its last fifth is held out.

    Returns:
        The report: seed, counts asked for, and for each clip (or part of one) its split, frames, shots,
        pairs by kind, rejects by reason, and why it was skipped.

    Raises:
        InputError: no clip gave a pair, or the cache was made with other settings.
    """
    clips = find_clips(videos)
    report_file = cache / "report.json"
    settings = {"seed": seed, "count": count, "made": made, "by_time": by_time}
    report: dict[str, Any] = {**settings, "clips": {}}
    if report_file.exists():
        report = json.loads(report_file.read_text())
    if {k: report.get(k) for k in settings} != settings:
        raise InputError(f"{cache}: was made with other settings (seed, counts or split); choose another folder")
    jobs = []
    for path in clips:
        for split, part in PARTS.items() if by_time else ((split_of(path.name), (0.0, 1.0)),):
            (cache / split).mkdir(parents=True, exist_ok=True)
            if f"{split}/{path.name}" not in report["clips"]:
                jobs.append((Job(path, split, part, count, made, seed), cache))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for name, entry in tqdm(pool.imap_unordered(_mine_to_file, jobs), total=len(jobs), desc="clips"):
            report["clips"][f"{entry['split']}/{name}"] = entry
            write_aside(report_file, json.dumps(report, indent=1, sort_keys=True).encode())
    if not any(entry["pairs"] for entry in report["clips"].values()):
        reasons = "; ".join(f"{name}: {entry['skipped']}" for name, entry in report["clips"].items())
        raise InputError(f"no clip gave a pair ({reasons})")
    draw_sheet(cache)
    return report


def describe(report: dict[str, Any]) -> str:
    """The report for people: pairs of each split by kind, rejects by reason, and each clip that was skipped."""
    lines = []
    for split in ("train", "held_out"):
        entries = [e for e in report["clips"].values() if e["split"] == split]
        kinds = sum((Counter(e["pairs"]) for e in entries), Counter())
        told = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        lines.append(f"{split}: {kinds.total()} pairs of {len(entries)} clips ({told or 'none'})")
    rejects = sum((Counter(e["rejects"]) for e in report["clips"].values()), Counter())
    lines.append("rejected: " + (", ".join(f"{n} {why}" for why, n in rejects.most_common()) or "none"))
    lines += [f"skipped: {name}: {e['skipped']}" for name, e in report["clips"].items() if "skipped" in e]
    return "\n".join(lines)


def draw_sheet(cache: Path, rows: int = 12) -> None:
    """CACHE/sheet.png: of evenly spread clips one pair each, the kinds in turn.

    The drag drawn on the source, the target, the flow by colour, and where forward and backward flow agree.
    """
    files = sorted(cache.glob("*/*.npz"))
    kinds = ("video", KINDS[0], "video", KINDS[1], "video", KINDS[2], "video", KINDS[3])
    pictures = []
    for number, file in enumerate(files[:: max(1, len(files) // rows)][:rows]):
        with np.load(file) as stored:
            of_kind = np.flatnonzero(stored["kind"] == kinds[number % len(kinds)])
            index = int(of_kind[len(of_kind) // 2]) if len(of_kind) else 0
            pair = {k: stored[k][index] for k in stored.files}
        points = sample_points(
            pair["flow"].astype(np.float32),
            draggable(pair["target"], pair["valid"]),
            pair["mask"],
            np.random.default_rng(number),
        )
        agree = np.repeat(np.where(pair["mask"], 80 + 175 * pair["valid"], 0).astype(np.uint8)[..., None], 3, -1)
        drawn = draw_drag(pair["source"], pair["mask"], points)
        pictures.append(np.hstack([drawn, pair["target"], flow_colours(pair["flow"].astype(np.float32)), agree]))
    save_picture(cache / "sheet.png", Picture(np.vstack(pictures)))


def flow_colours(flow: np.ndarray) -> np.ndarray:
    """A flow [H, W, 2] as uint8 RGB: hue is direction, lightness length, white 48 pixels."""
    length, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    hls = cv2.merge([angle / 2, np.clip(length * (255 / MOTION_RANGE[1]), 0, 255), np.full_like(length, 255)])
    return cv2.cvtColor(hls.astype(np.uint8), cv2.COLOR_HLS2RGB)
