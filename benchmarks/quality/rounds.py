"""`edgedrag bench rounds`: how much of a photo survives many drags and their inverses.

Three protocols of random drags: `alternating`, each drag followed by its inverse; `nested`, all drags, then their
inverses in reverse order; `near_inverse`, alternating with inverses that miss by 1.5 generator pixels, so that no
round is recognised as an exact reversal. Both methods get the same drags; the naive chain loads each result as a new
photo. `continued.py` compares rounds that go on with each other with the one drag that should look the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.quality import continued
from edgedrag.benchmarks.quality.page import GAP, caption, fit, on_paper
from edgedrag.benchmarks.quality.tables import mean
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.runtime.drag.composite import box_of
from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture, as_rgb8, load_picture
from edgedrag.runtime.photo.window import window_around
from edgedrag.runtime.session.runtime import Runtime

METHODS = ("edgedrag", "naive_chain")
PROTOCOLS = ("alternating", "nested", "near_inverse")
MARKS = (2, 6, 10)  # rounds after which the picture is compared; the last round is added
LENGTHS = (0.04, 0.12)  # of a drag, as shares of the photo's shorter side
MIDDLE = (0.25, 0.75)  # range of handles, as shares of width and height, so that drags overlap
RADIUS = 1.5  # of the disc mask around a drag's midpoint, in lengths of the drag
MISS = 1.5  # distance of the inverse's end from the handle in `near_inverse`, generator pixels
SMALLEST = 64  # smallest shorter side of a photo, pixels

Scores = dict[str, dict[str, dict[int, list[float]]]]  # protocol -> method -> rounds -> PSNR of each sequence


@dataclass(frozen=True)
class Move:
    """A drag and its mask, bool [H, W]."""

    drag: Drag
    mask: np.ndarray

    def inverse(self, miss: np.ndarray) -> Move:
        """The reverse move, whose end misses the handle by `miss` (x, y) pixels."""
        (x, y), target = self.drag
        return Move((target, (x + float(miss[0]), y + float(miss[1]))), self.mask)


def random_move(shape: tuple[int, ...], rng: np.random.Generator) -> Move:
    height, width = shape[:2]
    handle = rng.uniform(*MIDDLE, 2) * (width, height)
    length, angle = rng.uniform(*LENGTHS) * min(height, width), rng.uniform(0, 2 * np.pi)
    target = handle + length * np.array([np.cos(angle), np.sin(angle)])
    x, y = (handle + target) / 2
    rows, columns = np.ogrid[:height, :width]
    mask = np.hypot(columns - x, rows - y) <= RADIUS * length
    return Move(((float(handle[0]), float(handle[1])), (float(target[0]), float(target[1]))), mask)


def sequence(protocol: str, runtime: Runtime, shape: tuple[int, ...], rounds: int, seed: list[int]) -> list[Move]:
    """The moves of a protocol: half of them drags, half inverses."""
    rng = np.random.default_rng(seed)
    moves = [random_move(shape, rng) for _ in range(rounds // 2)]
    if protocol == "nested":
        return moves + [move.inverse(np.zeros(2)) for move in reversed(moves)]
    angles = rng.uniform(0, 2 * np.pi, len(moves))
    off = MISS if protocol == "near_inverse" else 0.0
    misses = [off * pixel(runtime, move) * np.array([np.cos(a), np.sin(a)]) for move, a in zip(moves, angles)]
    return [step for move, miss in zip(moves, misses) for step in (move, move.inverse(miss))]


def pixel(runtime: Runtime, move: Move) -> float:
    """The size of a generator pixel in photo pixels, in a move's window."""
    points = np.array([[*move.drag[0], *move.drag[1]]], np.float32)
    margin = runtime.bundle.manifest["window"]["margin"]
    return float(window_around(box_of(move.mask), move.mask.shape, points, margin, runtime.bundle.sizes).scale.mean())


def play(
    method: str, runtime: Runtime, picture: Picture, moves: Sequence[Move], steps: int | None, seed: int
) -> Iterator[np.ndarray]:
    """The photo after each round."""
    photo = runtime.load(picture.pixels)
    for move in moves:
        if method == "naive_chain":
            photo = runtime.load(photo.image)
        yield photo.drag([move.drag], move.mask, steps=steps, seed=seed).image


@dataclass(frozen=True)
class Plan:
    """What to run on each photo.

    Attributes:
        rounds: drags and their inverses together, an even number.
        seeds: number of random sequences.
        steps: of each drag; None uses the bundle's default.
        seed: the first number of every seed.
    """

    rounds: int
    seeds: int
    steps: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise InputError for values that no run can have."""
        if self.rounds < 2 or self.rounds % 2:
            raise InputError(f"--rounds {self.rounds}: give an even number, each drag has its inverse")
        if self.seed < 0:
            raise InputError(f"seed: {self.seed} is negative")


def measure(
    runtime: Runtime, photos: Sequence[Path], plan: Plan, max_megapixels: float
) -> tuple[dict[str, Any], np.ndarray]:
    """Mean PSNR (dB) against the photo in the union of the masks, over photos and seeds; and a page (uint8 RGB).

    Raises:
        InputError: a file is no photo or too small, or the number of rounds is odd.
    """
    plan.check()
    rounds, steps, seed = plan.rounds, plan.steps, plan.seed
    pictures = [load_picture(photo, max_megapixels) for photo in photos]
    for path, picture in zip(photos, pictures):
        if min(picture.pixels.shape[:2]) < SMALLEST:
            raise InputError(f"{path}: smaller than {SMALLEST} pixels, too small for these drags")
    marks = sorted({mark for mark in MARKS if mark <= rounds} | {rounds})
    scores: Scores = {p: {m: {} for m in METHODS} for p in PROTOCOLS}
    rows: list[list[np.ndarray]] = []
    for index, turn in tqdm(list(product(range(len(pictures)), range(plan.seeds))), desc="sequences", disable=None):
        original = as_rgb8(pictures[index].pixels)
        row = [fit(original)]
        for protocol, method in product(PROTOCOLS, METHODS):
            moves = sequence(protocol, runtime, original.shape, rounds, [seed, turn, index])
            union = np.zeros(original.shape[:2], bool)
            images = play(method, runtime, pictures[index], moves, steps, seed)
            for number, (move, image) in enumerate(zip(moves, images), start=1):
                union |= move.mask
                if number == rounds or (number in marks and protocol != "nested"):
                    score = psnr_in_mask(as_rgb8(image), original, union)
                    scores[protocol][method].setdefault(number, []).append(score)
            row.append(fit(as_rgb8(image)))
        if turn == 0:
            rows.append(row)
    singles = [
        [(m.drag, m.mask) for m in sequence("alternating", runtime, picture.pixels.shape, 2 * plan.seeds, n)[::2]]
        for picture, n in ((picture, [seed, 0, index]) for index, picture in enumerate(pictures))
    ]
    return {
        **context(runtime),
        "steps": steps or runtime.bundle.sampler["default_steps"],
        "photos": [photo.name for photo in photos],
        "seeds": plan.seeds,
        "rounds": rounds,
        "psnr_of_an_exact_return": round(psnr_in_mask(original, original, union), 2),
        "protocols": {
            protocol: {m: {str(n): mean(values, 2) for n, values in marked.items()} for m, marked in methods.items()}
            for protocol, methods in scores.items()
        },
        "continued": continued.measure(runtime, pictures, singles, steps),
    }, page(rows)


def page(rows: list[list[np.ndarray]]) -> np.ndarray:
    """A row for each photo: the photo, and each method's picture after the last round."""
    names = ["photo", *(f"{protocol}: {method}" for protocol, method in product(PROTOCOLS, METHODS))]
    width = max(tile.shape[1] for row in rows for tile in row) + GAP
    lines = [np.hstack([caption(name, width) for name in names])]
    for row in rows:
        lines.append(np.hstack([on_paper(tile, row[0].shape[0] + GAP, width) for tile in row]))
    return np.vstack(lines)


def describe(figures: dict[str, Any]) -> str:
    """The figures as text."""
    marks = list(figures["protocols"]["alternating"][METHODS[0]])
    lines = [f"PSNR in the masks by number of rounds, dB; an exact return has {figures['psnr_of_an_exact_return']}"]
    lines += [f"{', '.join(figures['photos'])}; {figures['seeds']} sequence(s) of each"]
    lines.append(" " * 28 + "".join(f"{mark:>9}" for mark in marks))
    for protocol, methods in figures["protocols"].items():
        for method, scores in methods.items():
            cells = "".join(f"{scores[mark]:>9.2f}" if mark in scores else " " * 9 for mark in marks)
            lines.append(f"{protocol + ', ' + method:<28}" + cells)
    return "\n".join([*lines, "", *continued.describe(figures["continued"])])
