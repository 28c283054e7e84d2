"""What a drag starts from: the photo as it is, or, where it goes on with an earlier drag, as it was before that.

Motions of one thing compose: away and nearly back is the thing moved by the difference. So a drag that takes hold where
an earlier one of the same way ended is made as one drag, from where the earlier one began to where this one ends, on
the photo without the earlier one. Nothing is resampled twice, and the hold and the ground behind it are the same.

Elsewhere on a thing that was held and moved, the hold is the earlier one, moved with the thing; the motions are
composed by the edit stack (edit_stack.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgedrag.runtime.drag.composite import Box
from edgedrag.runtime.session.edit_stack import Layers
from edgedrag.runtime.session.held import Way
from edgedrag.runtime.session.history import RETURNED, Entry, Start, chain

GRABBED = 5.0  # generator pixels; a drag that begins nearer to where an earlier one ended goes on with it


def region_of(start: Start) -> np.ndarray:
    """What the edits that a drag goes on with changed, bool [H, W] of the photo."""
    region = np.zeros(start.photo.shape[:2], bool)
    for entry in chain(start.continues):
        region[entry.box] |= entry.mask
    return region


def is_apart(start: Start, region: np.ndarray) -> bool:
    """Whether no newer edit shares a pixel with a region, bool [H, W]."""
    return not any((region[entry.box] & entry.mask).any() for entry in start.newer)


def answers_at(start: Start, point: np.ndarray) -> np.ndarray | None:
    """The answers of an earlier hold where a point (x, y) lies on what that moved; see `Held.answers_at`."""
    for entry in shown(start.done):
        answers = None if entry.held is None else entry.held.answers_at(point, start.photo.shape)
        if answers is not None or _covers(entry.box, entry.mask, point):
            return answers
    return None


def find_start(here: Start, way: Way, given: np.ndarray | None) -> Start:
    """What a drag starts from: what an earlier one that it goes on with started from, or else `here`.

    Args:
        here: the photo as it is now, and the drags.
        way: see `Held.way`.
        given: bool [H, W], the mask where one was given.
    """
    newer: list[Entry] = []
    for entry in shown(here.done):
        total = _total(entry, here.points, way, here.photo.shape)
        root = list(chain(entry))[-1]
        if total is None or root not in here.done:  # the oldest entries are dropped
            newer.append(entry)
            continue
        before = here.done[: here.done.index(root)]
        layers = _layers_without(entry, here.done[-1].layers_after)
        start = Start(here.photo, before, total, layers, entry, tuple(newer))
        region = region_of(start)
        if not is_apart(start, region) or (given is not None and (region & ~given).any()):
            return here
        return replace(start, photo=_without(here, entry))
    return here


def shown(done: Sequence[Entry]) -> Iterator[Entry]:
    """The edits that were not reversed, nor reverse one, the newest first."""
    reversed_ones: list[Entry] = []
    for entry in reversed(done):
        if entry.reversed is not None:
            reversed_ones.append(entry.reversed)
        elif entry not in reversed_ones:
            yield entry


def _total(entry: Entry, points: np.ndarray, way: Way, shape: tuple[int, ...]) -> np.ndarray | None:
    """The drags of an edit together with those that go on with it, [N, 4]; None where these do not."""
    held = entry.held
    if held is None or held.way != way or len(points) != len(held.points):
        return None
    apart = np.linalg.norm(points[:, None, :2] - held.points[None, :, 2:], axis=-1)
    nearest = apart.argmin(1)
    if len(set(nearest.tolist())) < len(points):
        return None
    anywhere = way[0] == "whole" and len(points) == 1 and held.answers_at(points[0, :2], shape) is not None
    if (apart.min(1) > GRABBED * held.pixel).any() and not anywhere:
        return None
    total = held.points[nearest].copy()
    total[:, 2:] += points[:, 2:] - points[:, :2]
    total[:, 2:] = np.clip(total[:, 2:], 0, [shape[1] - 1, shape[0] - 1])
    left, was = (np.linalg.norm(drags[:, 2:] - drags[:, :2], axis=-1) for drags in (total, held.points[nearest]))
    if (left <= np.minimum(RETURNED * held.pixel, was / 2)).all():
        total[:, 2:] = total[:, :2]
    return total


def _layers_without(entry: Entry, layers: Layers) -> Layers:
    """An edit stack without an edit and those that it went on with."""
    own, before = entry.layers_after[-1], list(chain(entry))[-1].layers_before
    return (*before, *(layer for layer in layers if layer is not own and layer not in before))


def _without(here: Start, entry: Entry) -> np.ndarray:
    """The photo before an edit and those that it went on with; the same array as then, while it is in use."""
    then = None if entry.held is None else entry.held.photo()
    if then is not None and entry is here.done[-1]:
        return then
    pixels = here.photo.copy()
    for earlier in chain(entry):
        pixels[earlier.box][earlier.mask] = earlier.before[earlier.mask]
    return pixels


def _covers(box: Box, mask: np.ndarray, point: np.ndarray) -> bool:
    column, row = (round(float(v)) for v in point)
    row, column = row - box[0].start, column - box[1].start
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])
