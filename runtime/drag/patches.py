"""Patches of a hole matched with patches of the rest of a picture, coarse to fine; see ground.py.

As in Wexler, Shechtman and Irani (PAMI 2007): match, let overlapping matches vote for colours, repeat. At coarse levels
every patch is compared with every other as one matrix product; finer levels compare what neighbours found (Barnes et
al., SIGGRAPH 2009).

With w the target's weights, v 1 where the source is known, U and I their colours, the cost of a match is

    sum w v (U - I)^2 / sum w v        and        sum w v (U - I)^2 = (w U^2, w, -2 w U) . (v, v I^2, v I)

so that patches at the border of the picture and of the hole are sources too.
"""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 2  # of a patch, pixels
PATCH = (2 * RADIUS + 1) ** 2  # pixels
STEPS = 1, 2, 4  # pixels between a target and neighbours whose sources are tried
PAD = RADIUS + max(STEPS) + 1
LEAST_SHARE = 0.5  # of a target's weight that a source must know
PRODUCT = 1.5e6  # targets times sources, up to which all pairs are compared
FADING = 0.2  # of confidence, with each pixel away from the hole's rim
SUM_OF_3 = np.ones((1, 3), np.float32)
NOTHING = np.empty(0, np.float32)
NO_MATCH = np.float32(1e6)  # the cost of a source that knows too little


def nearest_index(mask: np.ndarray) -> np.ndarray:
    """For each pixel the flat index of the nearest one where a mask, bool [H, W] and not empty, is true; int [H, W]."""
    _, labels = cv2.distanceTransformWithLabels(
        (~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    chosen = np.flatnonzero(mask)
    place = np.zeros(int(labels.max()) + 1, int)
    place[labels.reshape(-1)[chosen]] = chosen
    return place[labels]


def pad(plane: np.ndarray, width: int) -> np.ndarray:
    """A plane with a border of zeros, flat: [h * w] or [h * w, C], so that a step to a neighbour is a number."""
    padded = cv2.copyMakeBorder(plane, width, width, width, width, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    return padded.reshape(-1, *plane.shape[2:])


def squares(colours: np.ndarray) -> np.ndarray:
    """The squared lengths of colours float32 [n, 3] or [m, n, 3], without the last axis."""
    if not colours.size:
        return np.zeros(colours.shape[:-1], np.float32)
    planes = colours.reshape(-1, colours.shape[-2], 3)
    return cv2.transform(planes * planes, SUM_OF_3).reshape(colours.shape[:-1])  # 6 times as fast as einsum


def products(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """rows [n, k] times columns [m, k], float32 [n, m].

    By OpenCV on its own threads: the threads of NumPy's BLAS wait by spinning, which for matrices of this size takes
    two to three times the processor time.
    """
    return cv2.gemm(rows, columns, 1, NOTHING, 0, flags=cv2.GEMM_2_T)


def upper_quartile(values: np.ndarray) -> float:
    """What three quarters of some numbers, float32 [n], do not exceed, between two of them linearly.

    `np.percentile(values, 75)`, which loads a large part of NumPy when it is first called.
    """
    at = np.float32(0.75) * np.float32(len(values) - 1)
    below = int(at)
    part = np.partition(values, (below, min(below + 1, len(values) - 1)))
    low, high, share = part[below], part[min(below + 1, len(values) - 1)], at - np.float32(below)
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


class Level:
    """One level of the pyramid.

    Args:
        colour: float32 [h, w, 3] in 0..1.
        hole, source: bool [h, w], not empty; pixels that are neither are seen, but not copied.
        filled: bool [h, w], the part of the hole that is filled; nothing is known of its rest.
    """

    def __init__(self, colour: np.ndarray, hole: np.ndarray, source: np.ndarray, filled: np.ndarray):
        self._height, self._width = hole.shape[0], hole.shape[1] + 2 * PAD
        apart = cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
        self._confidence = pad(np.float32(FADING) ** apart * (filled | ~hole), PAD)
        self._colour = pad(colour, PAD)
        self._known = pad((~hole).view(np.uint8), PAD).astype(np.float32)
        self._targets = np.flatnonzero(pad(filled.view(np.uint8), PAD))
        usable = pad(source.view(np.uint8), PAD).view(bool)
        self._sources = np.flatnonzero(usable)
        self._row_of = np.full(len(usable), -1)
        self._row_of[self._sources] = np.arange(len(self._sources))
        self._nearest = nearest_index(usable.reshape(-1, self._width)).reshape(-1)
        around = np.arange(-RADIUS, RADIUS + 1)
        self._steps = (around[:, None] * self._width + around).reshape(-1)
        at = self._sources[:, None] + self._steps
        shown = self._colour * self._known[:, None]
        self._rows = np.empty((len(at), 5 * PATCH), np.float32)
        self._rows[:, :PATCH] = self._known.take(at)
        self._rows[:, PATCH : 2 * PATCH] = squares(shown).take(at)
        self._rows[:, 2 * PATCH :] = shown.take(at, axis=0).reshape(len(at), -1)
        self._source_known = self._rows[:, :PATCH]
        self._shown = self._rows[:, 2 * PATCH :].reshape(len(at), PATCH, 3)
        self._unknown = 1 - self._source_known
        self._partial = (self._source_known == 0).any(1)
        row_of_target = np.full(len(usable), len(self._targets))
        row_of_target[self._targets] = np.arange(len(self._targets))
        over = row_of_target.take(self._targets[:, None] - self._steps)  # the targets whose patches cover a target
        self._voters = over * PATCH + np.arange(PATCH)

    def first(self, rounds: int) -> np.ndarray:
        """The offsets of this level, float32 [h, w, 2] (x, y), with nothing to start from."""
        self._peel()
        found = np.zeros(len(self._targets), int)
        for _ in range(rounds):
            found, cost = self._search(self._targets, self._confidence)
            self._vote(found, cost)
        return self._as_offsets(found)

    def refine(self, offsets: np.ndarray, rounds: int) -> np.ndarray:
        """Offsets that fill the hole so far, improved."""
        x, y = cv2.split(pad(offsets, PAD).reshape(-1, self._width, 2))
        move = (y.astype(int) * self._width + x.astype(int)).reshape(-1)[self._targets]
        found = self._row_of[self._nearest[self._targets + move]]
        self._vote(found, np.zeros(len(found), np.float32))
        everything = len(self._targets) * len(self._sources) <= PRODUCT
        for _ in range(rounds):
            found, cost = self._search(self._targets, self._confidence) if everything else self._propagate(found)
            self._vote(found, cost)
        return self._as_offsets(found)

    def _peel(self) -> None:
        """A first guess of the colours, from the rim inward."""
        confidence = self._known.copy()
        left = self._targets
        while len(left):
            filled = (confidence[left[:, None] + self._steps] > 0).sum(1)
            near = filled >= max(0.75 * filled.max(), 0.5) if filled.any() else np.ones(len(left), bool)
            ring = left[near]
            found, _ = self._search(ring, confidence)
            self._colour[ring] = self._shown[found, PATCH // 2]
            confidence[ring] = self._confidence[ring]
            left = left[~near]

    def _target_rows(self, targets: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(w U^2, w, -2 w U) of each target's patch, and w."""
        at = targets[:, None] + self._steps
        weight = confidence.take(at) * (self._confidence.take(at) > 0)
        weight /= np.maximum(weight.sum(1, keepdims=True), 1e-6)
        colour = self._colour.take(at, axis=0)
        colour *= (-2 * weight)[..., None]
        rows = (weight * squares(self._colour).take(at), weight, colour.reshape(len(at), -1))
        return np.concatenate(rows, 1), weight

    def _search(self, targets: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best source of each target by brute force, as its row, and its cost."""
        rows, weight = self._target_rows(targets, confidence)
        share = products(weight, self._unknown)
        np.subtract(1, share, out=share)
        cost = products(rows, self._rows)
        np.add(cost, NO_MATCH, out=cost, where=share < LEAST_SHARE)
        cost /= np.maximum(share, 1e-6, out=share)
        best = cost.argmin(1)
        return best, np.maximum(cost[np.arange(len(targets)), best], 0)

    def _propagate(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Better sources among those of neighbours, moved along, and those beside the own."""
        rows, weight = self._target_rows(self._targets, self._confidence)

        def cost_of(some: np.ndarray | slice, source: np.ndarray) -> np.ndarray:
            cost = np.einsum("ij,ij->i", rows[some], self._rows.take(source, axis=0))
            partial = np.flatnonzero(self._partial[source])
            share = np.einsum("ij,ij->i", weight[some][partial], self._source_known[source[partial]])
            cost[partial] = cost[partial] / np.maximum(share, 1e-6) + NO_MATCH * (share < LEAST_SHARE)
            return cost

        best = np.full(len(self._row_of), -1)
        found, cost = found.copy(), cost_of(np.s_[:], found)
        directions = (-1, 1, -self._width, self._width)
        moves = [(step * to, -step * to) for step in STEPS for to in directions] + [(0, to) for to in directions]
        for there, back in moves:
            best[self._targets] = self._sources[found]
            neighbour = best[self._targets + there]
            source = np.where(neighbour >= 0, self._row_of[neighbour + back], -1)
            some = np.flatnonzero((source >= 0) & (source != found))
            tried = cost_of(some, source[some])
            won = tried < cost[some]
            found[some[won]] = source[some[won]]
            cost[some[won]] = tried[won]
        return found, np.maximum(cost, 0)

    def _vote(self, found: np.ndarray, cost: np.ndarray) -> None:
        """Set the hole's colours to the mean of what the patches over them show, good and near ones first."""
        usual = max(upper_quartile(cost), 1e-6)
        share = self._confidence[self._targets] * np.exp(-cost / (2 * usual)) + np.float32(1e-8)
        votes = np.empty((len(found) + 1, PATCH, 4), np.float32)
        votes[-1] = 0
        np.multiply(self._shown.take(found, axis=0), share[:, None, None], out=votes[:-1, :, :3])
        np.multiply(self._source_known.take(found, axis=0), share[:, None], out=votes[:-1, :, 3])
        total = votes.reshape(-1, 4).take(self._voters, axis=0).sum(1)
        self._colour[self._targets] = total[:, :3] / np.maximum(total[:, 3:], 1e-12)

    def _as_offsets(self, found: np.ndarray) -> np.ndarray:
        offsets = np.zeros((len(self._known), 2), np.float32)
        source = self._sources[found]
        offsets[self._targets, 0] = source % self._width - self._targets % self._width
        offsets[self._targets, 1] = source // self._width - self._targets // self._width
        return offsets.reshape(-1, self._width, 2)[PAD:-PAD, PAD:-PAD]
