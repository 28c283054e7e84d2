"""A photo as it is now: its picture, its history, and what is protected."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgedrag.runtime.drag.composite import Box
from edgedrag.runtime.photo.picture import Picture
from edgedrag.runtime.session.edit import Change
from edgedrag.runtime.session.history import History
from edgedrag.runtime.trace import span


@dataclass
class PhotoState:
    """What an edit is made on; `protected`, bool [H, W], does not change."""

    picture: Picture
    history: History
    protected: np.ndarray | None = None

    @property
    def image(self) -> np.ndarray:
        return self.picture.pixels

    def put(self, box: Box, pixels: np.ndarray) -> Change:
        """Replace part of the photo."""
        change = self.changed(box, pixels, self.history.is_edited)
        self.picture = change.picture
        return change

    def changed(self, box: Box, pixels: np.ndarray, edited: bool) -> Change:
        """The photo with a part replaced; it stays as it is."""
        return Change(replace(self.picture, pixels=self.with_part(box, pixels), edited=edited), box)

    def with_part(self, box: Box, pixels: np.ndarray) -> np.ndarray:
        """The photo's pixels with a part replaced; arrays handed out earlier stay as they are."""
        with span("copy photo", "copy"):
            whole = self.image.copy()
            whole[box] = pixels
            return whole
