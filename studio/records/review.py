"""Bad edits that staff review and may keep: drags for `edgedrag batch` and `calibrate`, and before/after pairs.

Bad edits are held only while staff have turned this on, in memory, the newest ones; only `keep` writes to disk.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.drag.reasons import Reason
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside
from edgedrag.runtime.photo.picture import save_picture

MAX_HELD = 12
JOBS = "jobs.jsonl"


@dataclass(frozen=True)
class BadEdit:
    """An edit to look at: pixels before and after, bool mask [H, W], drags, seed, and what was wrong."""

    name: str
    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    drags: list[Drag]
    seed: int
    reasons: tuple[Reason, ...]


class Review:
    """The held edits and the folder of kept ones; used by the event loop's thread alone."""

    def __init__(self, folder: Path):
        self.pixels = False
        self._folder = folder
        self._held: OrderedDict[str, BadEdit] = OrderedDict()

    def turn_pixels(self, on: bool) -> None:
        """Hold bad edits from now on, or drop the held ones; kept ones stay."""
        self.pixels = on
        if not on:
            self._held.clear()

    def offer(
        self,
        before: np.ndarray,
        after: np.ndarray,
        mask: np.ndarray,
        drags: list[Drag],
        seed: int,
        why: tuple[Reason, ...],
    ) -> None:
        """Hold a bad edit, where staff have turned pixels on."""
        if self.pixels:
            name = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
            self._held[name] = BadEdit(name, before, after, mask, drags, seed, why)
            while len(self._held) > MAX_HELD:
                self._held.popitem(last=False)

    def held(self) -> list[BadEdit]:
        """The held edits, the newest first."""
        return list(reversed(self._held.values()))

    def find(self, name: str) -> BadEdit | None:
        return self._held.get(name)

    def discard(self, name: str) -> None:
        self._held.pop(name, None)

    def keep(self, name: str) -> Path:
        """Write a held edit: its pair of pictures and mask, then its line in the list of jobs; returns the list.

        Raises:
            InputError: the disk is full or not writable; the list is as it was then.
        """
        edit = self._held[name]
        pair = self._folder / "pairs" / name
        try:
            pair.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{pair}: cannot be made ({error.strerror})") from None
        save_picture(pair / "before.png", edit.before)
        save_picture(pair / "after.png", edit.after)
        save_picture(pair / "mask.png", edit.mask)
        jobs = self._folder / JOBS
        lines = jobs.read_text(encoding="utf-8") if jobs.exists() else ""
        write_aside(jobs, (lines + json.dumps(_job(edit)) + "\n").encode())
        self.discard(name)
        return jobs

    def kept(self) -> int:
        """How many were kept."""
        jobs = self._folder / JOBS
        return len(jobs.read_text(encoding="utf-8").splitlines()) if jobs.exists() else 0


def _job(edit: BadEdit) -> dict[str, Any]:
    place = f"pairs/{edit.name}"
    drags = [[list(handle), list(target)] for handle, target in edit.drags]
    return {
        "name": edit.name,
        "image": f"{place}/before.png",
        "mask": f"{place}/mask.png",
        "drags": drags,
        "seed": edit.seed,
        "reasons": [str(reason) for reason in edit.reasons],
    }
