"""Mining clips into a cache of pairs: pairing of frames, rejection, the report and the contact sheet."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.generator.data.pairs import (
    MOTION_RANGE,
    Pair,
    Rejected,
    draggable,
    made_pair,
    make_pair,
    random_crop,
    resized,
    sample_points,
)
from edgedrag.generator.data.synthetic_motion import KINDS
from edgedrag.generator.data.videos import CLIPS, read_frames, read_views, shot_of_each_frame, split_of
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_file, write_aside
from edgedrag.runtime.photo.picture import SUFFIXES as PICTURES
from edgedrag.runtime.photo.picture import Picture, save_picture
from edgedrag.runtime.session.sheet import draw_drag

REPORT = "report.json"  # in the cache's folder
GAPS = (2, 60)  # smallest and largest distance of a pair's frames, in frames
PARTS = {"train": (0.0, 0.75), "held_out": (0.8, 1.0)}  # shares of a clip's length, where it is split by time
TRIES = 4  # gaps tried from one first frame: doubled if too little moves, halved if too much does


def clip_seed(path: Path, seed: int) -> list[int]:
    """A seed that depends on the clip's name, not on its position in the list."""
    return [seed, int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:8], "little")]


def video_pairs(
    frames: list[np.ndarray], shots: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[list[Pair], Counter[str]]:
    """Up to `count` pairs of frames, and the rejects by reason.

    The gap adapts to the clip: from each first frame it grows while too little moves and shrinks while too
    much does, so that slow and fast clips both give pairs.
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
    """Up to `count` pairs of synthetic motion from the clip's frames, cycling through the kinds."""
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


@dataclass(frozen=True)
class Job:
    """What to mine from one clip: the part between two shares of its length. The pairs go to one file."""

    path: Path
    split: str
    part: tuple[float, float]
    count: int
    made: int
    seed: int


Task = tuple[Job, Path]  # and the cache's folder
Mined = tuple[str, dict[str, Any]]
Run = Callable[[Sequence[Task], int], Iterator[Mined]]


def mine_clip(job: Job) -> tuple[list[Pair], dict[str, Any]]:
    """Up to `count` pairs of frames and `made` synthetic pairs; the same seed gives the same pairs.

    Returns the pairs and the clip's entry of the report: frames, pairs by kind, rejects by reason. A clip without
    any pair of frames is skipped, with the reason in the entry, and gives no synthetic pairs either. A picture
    gives synthetic pairs only.

    Raises:
        InputError: the file cannot be decoded.
    """
    rng = np.random.default_rng(clip_seed(job.path, job.seed))
    if job.path.suffix.lower() in PICTURES:
        pairs = made_pairs(read_views(job.path, rng), job.made, rng)
        return pairs, {"frames": 1, "shots": 1, "rejects": {}, "pairs": dict(Counter(pair.kind for pair in pairs))}
    whole = read_frames(job.path)
    frames = whole[int(job.part[0] * len(whole)) : int(job.part[1] * len(whole))] or whole[-1:]
    shots = shot_of_each_frame(frames)
    pairs, rejects = video_pairs(frames, shots, job.count, rng)
    entry: dict[str, Any] = {"frames": len(frames), "shots": int(shots[-1]) + 1, "rejects": dict(rejects)}
    if pairs:
        pairs += made_pairs(frames, job.made, rng)
    else:
        longest = int(np.bincount(shots).max())
        entry["skipped"] = "all cuts" if len(frames) > 2 and longest <= GAPS[0] else "no motion to learn from"
    entry["pairs"] = dict(Counter(pair.kind for pair in pairs))
    return pairs, entry


def mine_to_file(task: Task) -> Mined:
    """Mine a clip into CACHE/SPLIT/CLIP.npz; the clip's name and its entry of the report."""
    job, cache = task
    cv2.setNumThreads(1)
    try:
        pairs, entry = mine_clip(job)
    except InputError:
        return job.path.name, {"split": job.split, "skipped": "cannot be decoded", "pairs": {}, "rejects": {}}
    if pairs:
        arrays = {f.name: np.stack([getattr(p, f.name) for p in pairs]) for f in fields(Pair)}
        out = cache / job.split / f"{job.path.name}.npz"
        with aside_file(out.parent) as aside:
            with aside.open("wb") as f:
                np.savez(f, allow_pickle=False, **arrays)
            os.replace(aside, out)
    return job.path.name, {"split": job.split, **entry}


def find_clips(videos: Sequence[Path]) -> list[Path]:
    """The given files, and all clips and pictures in the given folders, sorted by name.

    Files beside a report belong to a cache and are left out.

    Raises:
        InputError: a path does not exist, a folder holds no clip, or two clips have the same name.
    """
    clips: list[Path] = []
    for video in videos:
        if not video.exists():
            raise InputError(f"{video}: no such file or folder")
        inside = [video]
        if video.is_dir():
            matches = (p for p in video.rglob("*") if p.suffix.lower() in CLIPS + PICTURES)
            inside = [p for p in matches if not (p.parent / REPORT).exists()]
        if not inside:
            raise InputError(f"{video}: no clips or pictures ({', '.join(CLIPS + PICTURES)}) in this folder")
        clips += inside
    clips.sort(key=lambda p: p.name)
    for one, two in pairwise(clips):
        if one.name == two.name:
            raise InputError(f"{one} and {two}: two clips have the same name; rename one")
    return clips


@dataclass(frozen=True)
class MiningSettings:
    """What to mine of each clip; a cache has one of them.

    Attributes:
        count: pairs of frames to find.
        made: pairs of synthetic motion from stills.
        by_time: hold out the last fifth of every clip instead of whole clips.
    """

    count: int = 96
    made: int = 48
    seed: int = 0
    by_time: bool = False


def in_processes(tasks: Sequence[Task], workers: int) -> Iterator[Mined]:
    """Mine clips in so many processes of this machine."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(mine_to_file, tasks)


def mine(
    videos: Sequence[Path],
    cache: Path,
    settings: MiningSettings = MiningSettings(),
    workers: int = 2,
    run: Run = in_processes,
) -> dict[str, Any]:
    """Mine every clip into CACHE/SPLIT/CLIP.npz; also writes CACHE/report.json and the contact sheet CACHE/sheet.png.

    An interrupted run resumes: clips that are in the report are not mined again. Each clip belongs to one side of
    the split (see `split_of`); with `settings.by_time`, the first three quarters of every clip are for training and
    its last fifth is held out.

    Args:
        run: what mines the clips and gives their entries; each clip's file is there before its entry.

    Returns:
        The report: seed, counts asked for, and for each clip (or part of one) its split, frames, shots,
        pairs by kind, rejects by reason, and why it was skipped.

    Raises:
        InputError: no clip gave a pair, or the cache was mined with other settings.
    """
    clips = find_clips(videos)
    report_file = cache / REPORT
    asked = asdict(settings)
    report: dict[str, Any] = {**asked, "clips": {}}
    if report_file.exists():
        report = json.loads(report_file.read_text())
    if {k: report.get(k) for k in asked} != asked:
        raise InputError(f"{cache}: was mined with other settings (seed, counts or split); choose another folder")
    jobs = []
    for path in clips:
        by_parts = settings.by_time and path.suffix.lower() not in PICTURES
        for split, part in PARTS.items() if by_parts else ((split_of(path.name), (0.0, 1.0)),):
            (cache / split).mkdir(parents=True, exist_ok=True)
            if f"{split}/{path.name}" not in report["clips"]:
                jobs.append((Job(path, split, part, settings.count, settings.made, settings.seed), cache))
    for name, entry in tqdm(run(jobs, workers), total=len(jobs), desc="clips"):
        report["clips"][f"{entry['split']}/{name}"] = entry
        write_aside(report_file, json.dumps(report, indent=1, sort_keys=True).encode())
    if not any(entry["pairs"] for entry in report["clips"].values()):
        reasons = "; ".join(f"{name}: {entry['skipped']}" for name, entry in report["clips"].items())
        raise InputError(f"no clip gave a pair ({reasons})")
    draw_sheet(cache)
    return report


def describe(report: dict[str, Any]) -> str:
    """The report as text: pairs of each split by kind, rejects by reason, and the skipped clips."""
    lines = []
    for split in ("train", "held_out"):
        entries = [e for e in report["clips"].values() if e["split"] == split]
        kinds = sum((Counter(e["pairs"]) for e in entries), Counter())
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        lines.append(f"{split}: {kinds.total()} pairs of {len(entries)} clips ({counts or 'none'})")
    rejects = sum((Counter(e["rejects"]) for e in report["clips"].values()), Counter())
    lines.append("rejected: " + (", ".join(f"{n} {why}" for why, n in rejects.most_common()) or "none"))
    lines += [f"skipped: {name}: {e['skipped']}" for name, e in report["clips"].items() if "skipped" in e]
    return "\n".join(lines)


def draw_sheet(cache: Path, rows: int = 12) -> None:
    """Write CACHE/sheet.png: one pair from each of evenly spread clips, cycling through the kinds.

    Columns: the drag drawn on the source, the target, the flow as colours, and where forward and backward flow agree.
    """
    files = sorted(cache.glob("*/*.npz"))
    kinds = tuple(name for kind in KINDS for name in ("video", kind))
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
    """A flow [H, W, 2] as uint8 RGB: hue is the direction, lightness the length; white is 48 pixels."""
    length, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    hls = cv2.merge([angle / 2, np.clip(length * (255 / MOTION_RANGE[1]), 0, 255), np.full_like(length, 255)])
    return cv2.cvtColor(hls.astype(np.uint8), cv2.COLOR_HLS2RGB)
