"""Other answers to the last edit, small, for the visitor to choose from."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Box
from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.photo.picture import Picture, as_rgb8
from edgedrag.runtime.session.edit import Edit, Progress
from edgedrag.runtime.session.photo import Photo
from edgedrag.runtime.session.runtime import Runtime
from edgedrag.runtime.session.variants import Variant, variants

MOST = 3  # answers beside the one that was made
SIDE = 256  # pixels, of a small picture's longer side
MOST_PIXELS = 2**18  # of the photo that they are made of
AROUND = 0.15  # of the sides of what changed, shown around it


@dataclass(frozen=True, eq=False)
class Question:
    """What an edit answered: the photo before it, what was asked, and the edit."""

    before: Picture
    drags: list[Drag]
    mask: np.ndarray | None
    protected: np.ndarray | None
    variant: Variant
    edit: Edit


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer: what to ask for to get it, and how it looks, uint8 RGB [h, w, 3]."""

    motion: str
    answer: str
    seed: int
    verdict: str
    small: np.ndarray


def find_answers(runtime: Runtime, question: Question) -> Generator[Progress, None, list[Answer]]:
    """The answer that was made, then up to MOST others, those most likely worth keeping first; changes nothing.

    Of a large photo they are made smaller, as they are shown small: the visitor's next touch waits for a step of them.
    """
    asked, made = _smaller(question), question.edit
    photo = Photo(runtime, asked.before)
    photo.protect(asked.protected)

    def make(variant: Variant, more: int) -> Generator[Progress, None, Edit]:
        if runtime.bundle.moves_held:  # most of an edit's first step, and kept: a touch waits for one of the two
            photo.motion(asked.drags, asked.mask, variant.motion, variant.answer)
            yield Progress(0, MOST)
        edit = yield from photo.drag_steps(
            asked.drags, asked.mask, steps=made.steps or None, seed=made.seed + more,
            motion=variant.motion, answer=variant.answer,
        )  # fmt: skip
        photo.undo()
        return edit

    photo.look_ahead()
    yield Progress(0, MOST)
    if asked is not question:
        made = yield from make(question.variant, 0)
    found: list[tuple[Variant, Edit]] = []
    for variant, more in _variants(runtime, question):
        edit = yield from make(variant, more)
        if not any(np.array_equal(edit.image, other.image) for other in (made, *(edit for _, edit in found))):
            found.append((variant, edit))
        if len(found) == MOST:
            break
        yield Progress(len(found), MOST)
    found.sort(key=lambda pair: pair[1].checks.risk)
    box = _around([made.box, *(edit.box for _, edit in found)], made.image.shape[:2])
    return [_small(variant, edit, box) for variant, edit in [(question.variant, made), *found]]


def _smaller(question: Question) -> Question:
    """The same of a photo that is a whole number of times smaller, so that it has MOST_PIXELS at most."""
    height, width = question.before.pixels.shape[:2]
    times = math.ceil(math.sqrt(height * width / MOST_PIXELS))
    if times <= 1:
        return question
    size = max(width // times, 1), max(height // times, 1)
    before = replace(question.before, pixels=cv2.resize(question.before.pixels, size, interpolation=cv2.INTER_AREA))
    scale = np.array([size[0] / width, size[1] / height])
    at_most = np.array(size) - 1.0
    ends = [np.clip((np.array(drag, float).reshape(2, 2) + 0.5) * scale - 0.5, 0, at_most) for drag in question.drags]
    drags = [((h[0], h[1]), (t[0], t[1])) for h, t in (pair.tolist() for pair in ends)]
    mask, protected = (
        None
        if each is None
        else cv2.resize(each.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA) > 0
        for each in (question.mask, question.protected)
    )
    return replace(question, before=before, drags=drags, mask=mask, protected=protected)


def _variants(runtime: Runtime, question: Question) -> list[tuple[Variant, int]]:
    """The ways to answer that remain, each with what to add to the seed; a mask leaves the motion alone to choose."""
    if not runtime.bundle.moves_held:
        return [(question.variant, more) for more in range(1, MOST + 1)]
    masked = question.mask is not None
    ways: dict[tuple[str, str], Variant] = {}
    for variant in variants(masked):
        ways.setdefault(_key(variant, masked), variant)
    ways.pop(_key(question.variant, masked), None)
    return [(variant, 0) for variant in ways.values()]


def _key(variant: Variant, masked: bool) -> tuple[str, str]:
    return "bend" if variant.motion == "auto" else variant.motion, "" if masked else variant.answer


def _around(boxes: list[Box], shape: tuple[int, int]) -> Box:
    """What holds all boxes and a margin, in a photo of a shape."""
    sides = []
    for axis, length in enumerate(shape):
        low, high = min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)
        margin = round(AROUND * (high - low))
        sides.append(slice(max(low - margin, 0), min(high + margin, length)))
    return sides[0], sides[1]


def _small(variant: Variant, edit: Edit, box: Box) -> Answer:
    part = as_rgb8(edit.image[box])
    scale = min(SIDE / max(part.shape[:2]), 1.0)
    size = (max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return Answer(variant.motion, variant.answer, edit.seed, edit.checks.verdict, small)
