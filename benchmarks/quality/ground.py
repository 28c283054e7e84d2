"""`edgedrag bench ground`: what fills the place that a thing has left, against the truth.

Cut-outs with alpha are laid over still photographs. What the ground should be is then known: the photograph. The hole
is the cut-out's silhouette, dilated as that of a held thing. Each cut-out is also dragged by half its size, and the
fills are compared with the bundle's own edit where that drag reveals the photograph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.quality.page import GAP, caption, fit, on_paper
from edgedrag.benchmarks.quality.tables import Figures, as_text, mean, median, ratio
from edgedrag.metrics.pixels import gradient_energy, psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.drag.ground import make_ground
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import as_rgb8, load_picture
from edgedrag.runtime.session.runtime import Runtime

SIDES = (256, 384, 512)  # of a photo, pixels
SIZE = 256  # of the generator's picture, pixels
AREA = (0.02, 0.2)  # of a cut-out, as shares of the photo
DILATION = (3, 6)  # of its silhouette, generator pixels
OPAQUE = 0.02  # alpha from which on a pixel is of the silhouette
MARGIN = 24  # pixels around a hole that the metrics see
INPAINT_RADIUS = 5.0  # pixels
PATCH_RADIUS = 3  # of PatchMatch, pixels
ROWS = 12  # of the page
OWN, EDIT, PATCHMATCH = "ground", "edgedrag", "patchmatch"

Fill = Callable[["Composite"], np.ndarray]


@dataclass(frozen=True)
class Composite:
    """A cut-out over a photograph: uint8 RGB [S, S, 3] with and without it; bool [S, S].

    `small_hole` bool [SIZE, SIZE]; `drag` handle x, y, target x, y; `mask` is what that drag may change, and `revealed`
    the part of the hole that it uncovers.
    """

    photo: np.ndarray
    truth: np.ndarray
    hole: np.ndarray
    small_hole: np.ndarray
    drag: tuple[float, float, float, float]
    mask: np.ndarray
    revealed: np.ndarray


@dataclass(frozen=True)
class Score:
    """Gradient energies are of (fill, truth)."""

    psnr: float
    stlpips: float
    energies: tuple[float, float]
    seconds: float


def pictures(folder: Path) -> list[Path]:
    """The picture files of a folder. Raises InputError if there is none."""
    found = sorted(f for f in folder.glob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    if not found:
        raise InputError(f"{folder}: no pictures (JPEG, PNG or WebP)")
    return found


def composites(stills: Path, cutouts: Path, count: int, seed: int) -> Iterator[Composite]:
    """Cut-outs over random parts of stills, the same for the same files and seed.

    Raises:
        InputError: a folder without pictures, or no still is large enough.
    """
    rng = np.random.default_rng(seed)
    grounds, things = pictures(stills), pictures(cutouts)
    made = 0
    for index in rng.permutation(len(grounds)):
        if made == count:
            return
        still = as_rgb8(load_picture(grounds[index]).pixels)
        side = int(rng.choice(SIDES))
        thing = load_picture(things[rng.integers(len(things))]).pixels
        if min(still.shape[:2]) >= side and thing.ndim == 3 and thing.shape[2] == 4:
            composite = _lay(still, thing, side, rng)
            if composite is not None:
                made += 1
                yield composite
    if not made:
        raise InputError(f"{stills}: no still of at least {SIDES[0]} pixels, or {cutouts}: no cut-out with alpha")


def _lay(still: np.ndarray, thing: np.ndarray, side: int, rng: np.random.Generator) -> Composite | None:
    """A part of the still, `side` pixels square, under the cut-out; None if its alpha is empty."""
    top, left = (int(rng.integers(length - side + 1)) for length in still.shape[:2])
    truth = still[top : top + side, left : left + side]
    inside = thing[..., 3] > OPAQUE * 255
    if not inside.any():
        return None
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    thing = thing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(np.sqrt(rng.uniform(*AREA) * side**2 / inside.sum()), 0.6 * side / max(thing.shape[:2]))
    size = [max(8, round(n * scale)) for n in thing.shape[1::-1]]
    thing = cv2.resize(thing, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    shift = int(np.ceil(max(thing.shape[:2]) / 2))
    y, x = int(rng.integers(side - thing.shape[0] + 1)), int(rng.integers(side - thing.shape[1] + 1))
    layer = np.zeros((side, side, 4), np.float32)
    layer[y : y + thing.shape[0], x : x + thing.shape[1]] = thing
    alpha = layer[..., 3] / 255
    photo = np.rint(alpha[..., None] * layer[..., :3] + (1 - alpha[..., None]) * truth).astype(np.uint8)
    small = (cv2.resize(alpha, (SIZE, SIZE), interpolation=cv2.INTER_AREA) > OPAQUE).astype(np.uint8)
    radius = int(rng.integers(DILATION[0], DILATION[1] + 1))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    small_hole = cv2.dilate(small, disc).view(bool)
    hole = cv2.resize(small_hole.view(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST).view(bool)
    direction = 1 if x + thing.shape[1] / 2 < side / 2 else -1
    moved = np.zeros_like(hole)
    target_columns = np.clip(np.flatnonzero(hole.any(0)) + direction * shift, 0, side - 1)
    moved[:, target_columns] = hole[:, np.clip(target_columns - direction * shift, 0, side - 1)]
    handle_y, handle_x = np.unravel_index(int(cv2.distanceTransform(small, cv2.DIST_L2, 5).argmax()), small.shape)
    handle = (handle_x + 0.5) * side / SIZE, (handle_y + 0.5) * side / SIZE
    drag = (*handle, float(np.clip(handle[0] + direction * shift, 0, side - 1)), handle[1])
    return Composite(photo, truth, hole, small_hole, drag, hole | moved, hole & ~moved)


def own_fill(composite: Composite) -> np.ndarray:
    side = len(composite.photo)
    picture = cv2.resize(composite.photo, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    ground = make_ground(picture, composite.small_hole)
    return np.rint(ground.render(composite.photo, np.s_[0:side, 0:side])).astype(np.uint8)


def opencv_fill(method: int) -> Fill:
    return lambda c: cv2.inpaint(c.photo, c.hole.view(np.uint8), INPAINT_RADIUS, method)


def patchmatch_fill(composite: Composite) -> np.ndarray:
    """PatchMatch of the package pypatchmatch. Raises ImportError without it."""
    from patchmatch import patch_match  # type: ignore[import-not-found]

    filled = patch_match.inpaint(composite.photo, composite.hole.view(np.uint8) * 255, patch_size=PATCH_RADIUS)
    return np.asarray(filled)


def methods(runtime: Runtime) -> tuple[dict[str, Fill], dict[str, str]]:
    """The rows of the table, and those left out with the reason."""
    fills: dict[str, Fill] = {"telea": opencv_fill(cv2.INPAINT_TELEA), "navier_stokes": opencv_fill(cv2.INPAINT_NS)}
    left_out = {}
    try:
        import patchmatch  # noqa: F401

        fills[PATCHMATCH] = patchmatch_fill
    except ImportError:
        left_out[PATCHMATCH] = "the package pypatchmatch is not installed"

    def edit(composite: Composite) -> np.ndarray:
        x, y, to_x, to_y = composite.drag
        return runtime.load(composite.photo).drag([((x, y), (to_x, to_y))], composite.mask).image

    fills[EDIT], fills[OWN] = edit, own_fill
    return fills, left_out


class Region:
    """A part of a composite in which alone fills are seen, and the truth's features there."""

    def __init__(self, composite: Composite, region: np.ndarray, stlpips: STLPIPS):
        rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
        self._box = (
            slice(max(int(rows[0]) - MARGIN, 0), int(rows[-1]) + 1 + MARGIN),
            slice(max(int(columns[0]) - MARGIN, 0), int(columns[-1]) + 1 + MARGIN),
        )
        self._truth, self._inside, self._stlpips = composite.truth[self._box], region[self._box], stlpips
        self._features = stlpips.features(self._truth)

    def score(self, filled: np.ndarray, seconds: float) -> Score:
        truth, inside = self._truth, self._inside
        seen = np.where(inside[..., None], filled[self._box], truth)
        energies = gradient_energy(seen, inside), gradient_energy(truth, inside)
        distance = self._stlpips.in_mask(self._stlpips.features(seen), self._features, inside)
        return Score(psnr_in_mask(seen, truth, inside), distance, energies, seconds)


def tabulate(scores: list[Score]) -> Figures:
    return {
        "psnr_db": mean((s.psnr for s in scores), 3),
        "stlpips": mean((s.stlpips for s in scores), 5),
        "sharpness": ratio([s.energies for s in scores]),
        "seconds": median((s.seconds for s in scores), 4),
    }


def measure(
    runtime: Runtime, stills: Path, cutouts: Path, count: int, seed: int, weights: Path | None
) -> tuple[dict[str, Any], np.ndarray]:
    """The report, and a page of fills (uint8 RGB).

    Raises:
        InputError: no metric network, or no pictures.
    """
    stlpips = STLPIPS(weights)
    fills, left_out = methods(runtime)
    whole: dict[str, list[Score]] = {name: [] for name in fills if name != EDIT}
    revealed: dict[str, list[Score]] = {name: [] for name in fills}
    rows: list[list[np.ndarray]] = []
    for composite in tqdm(composites(stills, cutouts, count, seed), total=count, desc="fills", disable=None):
        hole = Region(composite, composite.hole, stlpips)
        uncovered = Region(composite, composite.revealed, stlpips) if composite.revealed.any() else None
        tiles = [composite.photo]
        for name, fill in fills.items():
            start = time.process_time()
            filled = fill(composite)
            seconds = time.process_time() - start
            if name != EDIT:
                whole[name].append(hole.score(filled, seconds))
            if uncovered is not None:
                revealed[name].append(uncovered.score(filled, seconds))
            tiles.append(np.where((composite.hole | (name == EDIT))[..., None], filled, composite.photo))
        if len(rows) < ROWS:
            rows.append([*tiles, composite.truth])
    return {
        **context(runtime),
        "kind": "ground",
        "composites": len(whole[OWN]),
        "seed": seed,
        "seconds_are": "processor time of the process",
        "hole": {name: tabulate(scores) for name, scores in whole.items()},
        "revealed": {name: tabulate(scores) for name, scores in revealed.items()},
        "left_out": left_out,
        "metric_weights_sha256": {"stlpips": stlpips.sha256},
    }, draw(["photo", *fills, "truth"], rows)


def draw(names: list[str], rows: list[list[np.ndarray]]) -> np.ndarray:
    """Rows of tiles under their names."""
    width = max(fit(tile).shape[1] for row in rows for tile in row) + GAP
    lines = [np.hstack([caption(name, width) for name in names])]
    for row in rows:
        tiles = [fit(tile) for tile in row]
        lines.append(np.hstack([on_paper(tile, max(t.shape[0] for t in tiles) + GAP, width) for tile in tiles]))
    return np.vstack(lines)


def describe(figures: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{figures['composites']} cut-outs over photographs, in the whole hole", *as_text(figures["hole"])]
    lines += ["", "where a drag by half the cut-out's size reveals the photograph", *as_text(figures["revealed"])]
    lines += [f"left out: {name}: {why}" for name, why in figures["left_out"].items()]
    return "\n".join(lines)
