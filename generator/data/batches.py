"""Training batches: mined pairs, cropped, flipped, recoloured and given a drag and a mask."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edgedrag.generator.data.pairs import SIZE, Rejected, draggable, made_pair, sample_points
from edgedrag.generator.data.prior_flow import prior_flow
from edgedrag.generator.data.synthetic_motion import KINDS, SHARES, silhouette
from edgedrag.runtime.errors import InputError

MAX_POINTS = 20
CUT_OUT = 0.75  # share of moved pieces that follow the outline of something that moved in a clip; the others are blobs


@dataclass
class Batch:
    """Drags and their ground truth, float32.

    Attributes:
        source, target: [B, 3, H, W] in -1..1.
        flow, prior_flow: backward, [B, 2, H, W] in pixels, x then y; `prior_flow` is computed from the points alone.
        valid, mask: [B, 1, H, W] in {0, 1}.
        points: [B, N, 4], handle x, y, target x, y in pixels.
        real: [B, 1, 1, 1], 1 where the source is a photo, 0 where it is an edit (`edited_sources`).
        back_prior_flow: prior flow of the reverse drag, in batches whose sources will be replaced by edits.
    """

    source: Tensor
    target: Tensor
    flow: Tensor
    valid: Tensor
    mask: Tensor
    points: Tensor
    prior_flow: Tensor
    real: Tensor
    back_prior_flow: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        return Batch(**{f.name: v.to(device) for f in fields(self) if (v := getattr(self, f.name)) is not None})

    def reversed(self) -> Batch:
        """The drag from target to source; its true flow is unknown."""
        points = torch.cat([self.points[..., 2:], self.points[..., :2]], -1)
        assert self.back_prior_flow is not None
        return replace(self, source=self.target, target=self.source, points=points, prior_flow=self.back_prior_flow)


class PairCache:
    """The mined pairs of one split, in memory."""

    def __init__(self, folder: Path):
        files = sorted(folder.glob("*.npz"))
        if not files:
            raise InputError(f"{folder}: no mined pairs here; make them with `edgedrag learn pairs VIDEOS... -o CACHE`")
        self.names = [file.stem for file in files]
        self.clips: list[dict[str, np.ndarray]] = []
        digest = hashlib.sha256()
        for file in files:
            with np.load(file) as stored:
                clip = {k: stored[k] for k in stored.files}
            digest.update(file.name.encode())
            for name in sorted(clip):
                digest.update(clip[name].tobytes())
            if len(clip["mask"]):
                self.clips.append(clip)
        self.digest = digest.hexdigest()  # of names and arrays; identifies the training data

    def __len__(self) -> int:
        return sum(len(c["mask"]) for c in self.clips)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A random pair; a clip is drawn in proportion to the square root of its number of pairs."""
        weight = np.array([len(c["mask"]) for c in self.clips]) ** 0.5
        clip = self.clips[rng.choice(len(self.clips), p=weight / weight.sum())]
        index = rng.integers(len(clip["mask"]))
        return {k: v[index] for k, v in clip.items()}

    def draw_made(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A pair with synthetic motion, composed from the pictures of two random pairs."""
        while True:
            ground, piece = self.draw(rng), self.draw(rng)
            shape = silhouette(piece["flow"], piece["valid"]) if rng.random() < CUT_OUT else None
            try:
                kind = str(rng.choice(KINDS, p=SHARES))
                return vars(made_pair(ground["source"], piece["target"], kind, rng, shape))
            except Rejected:
                continue


def varied_mask(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A motion mask as a person would draw it: tight, loose, a convex hull, or brushed."""
    mask = mask.astype(np.uint8)
    if rng.random() < 0.2:  # round brush strokes on the moving region
        spots = np.argwhere(mask)
        for y, x in spots[rng.integers(len(spots), size=24)].tolist():
            cv2.circle(mask, (x, y), int(rng.uniform(0.04, 0.1) * len(mask)), 1, -1)
    elif rng.random() < 0.3:
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        hulls = [cv2.convexHull(c) for c in contours]
        mask = cv2.fillPoly(np.zeros_like(mask), hulls, (1,))
    most = rng.choice((0.03, 0.1, 0.2), p=(0.35, 0.4, 0.25))  # share of the side: tight, loose, very loose
    reach = int(rng.uniform(0, most) * len(mask))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask, kernel).astype(bool)


def augment(
    pair: dict[str, np.ndarray], size: int, rng: np.random.Generator, back: bool = False
) -> dict[str, np.ndarray] | None:
    """A random `size` x `size` view of a pair with points and mask, or None if nothing moves in it.

    With `back`, also the prior flow of the drag from target to source.
    """
    side = int(rng.integers(min(size, SIZE), SIZE + 1))
    top, left = rng.integers(0, SIZE - side + 1, 2)
    cut = np.s_[top : top + side, left : left + side]
    scale = size / side

    def resized(array: np.ndarray, how: int) -> np.ndarray:
        return array if side == size else cv2.resize(array, (size, size), interpolation=how)

    images = [resized(pair[k][cut], cv2.INTER_AREA) for k in ("source", "target")]
    flow = resized(pair["flow"][cut].astype(np.float32), cv2.INTER_LINEAR) * scale
    valid, mask = (resized(pair[k][cut].astype(np.uint8), cv2.INTER_NEAREST).astype(bool) for k in ("valid", "mask"))
    if mask.mean() < 0.01:
        return None
    mask = varied_mask(mask, rng)
    if rng.random() < 0.5:  # mirror
        images = [i[:, ::-1] for i in images]
        flow, valid, mask = flow[:, ::-1] * np.array([-1, 1], np.float32), valid[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.3:  # transpose
        images = [i.swapaxes(0, 1) for i in images]
        flow, valid, mask = flow.swapaxes(0, 1)[..., ::-1], valid.T, mask.T
    flow, valid, mask = (np.ascontiguousarray(a) for a in (flow, valid, mask))
    images = [np.ascontiguousarray(i) for i in images]
    points = sample_points(flow, draggable(images[1], valid), mask, rng, MAX_POINTS)
    if not len(points):
        return None
    gain, lift = rng.uniform(0.8, 1.2, 3), rng.uniform(-20, 20)
    source, target = (np.clip(i * gain + lift, 0, 255) / 127.5 - 1.0 for i in images)
    return Example(source, target, flow, valid, mask, points).as_row(back)


@dataclass(frozen=True)
class Example:
    """A drag of a pair: pictures float [H, W, 3] in -1..1, the arrays of a Pair, and points [N, 4]."""

    source: np.ndarray
    target: np.ndarray
    flow: np.ndarray
    valid: np.ndarray
    mask: np.ndarray
    points: np.ndarray

    def as_row(self, back: bool = False) -> dict[str, np.ndarray]:
        """One row of a batch; with `back`, also the prior flow of the drag from target to source."""
        points = self.points
        row = {
            "source": self.source.transpose(2, 0, 1),
            "target": self.target.transpose(2, 0, 1),
            "flow": self.flow.transpose(2, 0, 1),
            "valid": self.valid[None],
            "mask": self.mask[None],
            "points": points[np.arange(MAX_POINTS) % len(points)],
            "prior_flow": prior_flow(points, self.mask).transpose(2, 0, 1),
            "real": np.ones((1, 1, 1)),
        }
        if back:
            row["back_prior_flow"] = prior_flow(points[:, [2, 3, 0, 1]], self.mask).transpose(2, 0, 1)
        return row


def stack(rows: list[dict[str, np.ndarray]]) -> Batch:
    return Batch(**{k: torch.from_numpy(np.stack([r[k] for r in rows]).astype(np.float32)) for k in rows[0]})


def make_batch(
    cache: PairCache, size: int, count: int, rng: np.random.Generator, made: float = 0.0, back: bool = False
) -> Batch:
    rows: list[dict[str, np.ndarray]] = []
    while len(rows) < count:
        pair = cache.draw_made(rng) if rng.random() < made else cache.draw(rng)
        row = augment(pair, size, rng, back)
        if row is not None:
            rows.append(row)
    return stack(rows)


@dataclass(frozen=True)
class TrainingBatches(Dataset):
    """The batch of each step; the same step gives the same batch in every run.

    Attributes:
        sizes: (size in pixels, batch, share of the steps) alternatives.
        made: share of the rows with new synthetic motion, in addition to the synthetic pairs of the cache.
        edited: share of the batches with a `back_prior_flow`, whose sources can be replaced by edits.
        seed: the run's seed and the process rank.
    """

    cache: PairCache
    sizes: Sequence[tuple[int, int, float]]
    made: float
    edited: float
    seed: Sequence[int]

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([*self.seed, step])
        size, count, _ = self.sizes[rng.choice(len(self.sizes), p=[s[2] for s in self.sizes])]
        return make_batch(self.cache, size, count, rng, self.made, back=rng.random() < self.edited)

    def from_step(self, start: int, workers: int = 1) -> Iterator[Batch]:
        """Endless batches from step `start` on, prepared by `workers` processes."""
        return iter(DataLoader(self, batch_size=None, sampler=range(start, sys.maxsize), num_workers=workers))
