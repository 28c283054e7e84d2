"""An edit at the size of a screen, shown while the photo's own pixels are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edgedrag.runtime.drag.composite import Generated, box_of, compose_box
from edgedrag.runtime.photo.picture import as_rgb8
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.request import Request
from edgedrag.runtime.trace import span


@dataclass(frozen=True, eq=False)
class Draft:
    """What a drag makes, before it is composited: of a photo that was edited before but for what its edit stack
    sharpens, and never of a drag that restores what was there before an earlier one."""

    request: Request
    generated: Generated

    def render(self, times: float) -> tuple[tuple[float, float, float, float], np.ndarray]:
        """The part of the photo that changes, so many times smaller.

        Returns:
            left, top, width and height in pixels of the photo; uint8 RGB [h, w, 3].
        """
        with span("draft", "composite"):
            window, photo = self.request.window, self.request.start.photo
            size = max(round(window.height / times), 1), max(round(window.width / times), 1)
            small = cv2.resize(photo[window.box], size[::-1], interpolation=cv2.INTER_AREA)
            scaled = Window(window.top, window.left, window.height, window.width, size)
            mask = self.request.region.in_window(scaled)
            box = box_of(mask)
            part = compose_box(np.ascontiguousarray(as_rgb8(small)), mask, self.generated, box)
            (top, left), (height, width) = (part.start for part in box), part.shape[:2]
            x, y = scaled.scale.tolist()
            return (window.left + left * x, window.top + top * y, width * x, height * y), part


OnDraft = Callable[[Draft], None]
