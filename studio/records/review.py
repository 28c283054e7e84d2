"""Bad edits that staff review and may keep: drags for `edgedrag batch` and `calibrate`, and before/after pairs.

Bad edits are held only while staff have turned this on, in memory, the newest ones; only `keep` writes to disk.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.drag.drags import Drag
from edgedrag.runtime.drag.reasons import Reason
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_folder, move_folder, write_whole
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
    """The held edits and the folder of kept ones; all but `keep` is for the event loop's thread."""

    def __init__(self, folder: Path):
        self.pixels = False
        self._folder = folder
        self._held: OrderedDict[str, BadEdit] = OrderedDict()
        self._keeping = threading.Lock()

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
            InputError: it is not held any more, or the disk is full or not writable; the list is as it was then.
        """
        with self._keeping:
            edit = self._held.get(name)
            if edit is None:
                raise InputError(f"{name}: is not held any more")
            try:
                self._write_pair(edit)
                self._add_line(json.dumps(_job(edit)))
            except OSError as error:
                raise InputError(f"{self._folder}: cannot be written to ({error.strerror})") from None
            self.discard(name)
            return self._folder / JOBS

    def _write_pair(self, edit: BadEdit) -> None:
        """A folder with three pictures, whole or not at all."""
        pairs = self._folder / "pairs"
        pairs.mkdir(parents=True, exist_ok=True)
        with aside_folder(pairs) as aside:
            save_picture(aside / "before.png", edit.before)
            save_picture(aside / "after.png", edit.after)
            save_picture(aside / "mask.png", edit.mask)
            move_folder(aside, pairs / edit.name)

    def _add_line(self, line: str) -> None:
        """Add a line to the list of jobs. What else is in it stays, whatever it is."""
        jobs = self._folder / JOBS
        data = jobs.read_bytes() if jobs.exists() else b""
        if data and not data.endswith(b"\n"):
            data += b"\n"
        write_whole(jobs, data + line.encode() + b"\n", durable=True)

    def kept(self) -> int:
        """How many the list of jobs has; 0 where it cannot be read."""
        try:
            return sum(bool(line.strip()) for line in (self._folder / JOBS).read_bytes().splitlines())
        except OSError:
            return 0


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
