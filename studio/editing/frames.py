"""Binary messages to the page: a header in JSON, then arrays or files.

A frame is a little-endian uint32, the header's length; the header, padded with spaces so that what follows
starts at a multiple of 4; and the payload.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgedrag.runtime.photo.picture import Picture, as_rgb8, encode_picture
from edgedrag.runtime.photo.window import Window
from edgedrag.runtime.session.draft import Draft
from edgedrag.runtime.session.edit import Motion
from edgedrag.runtime.trace import span

VIEW_SIDE = 2048  # pixels, of the picture that the page shows, at most
GRID_SIDE = 128  # of a preview's motion field, at most
PNG, JPEG = Path("view.png"), Path("draft.jpg")
LEAST_TIMES = 1.5  # times smaller a draft is at least

Box = tuple[slice, slice]


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """A frame."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + payload


def reduction(height: int, width: int) -> int:
    """How many photo pixels a view pixel stands for along each side, a whole number."""
    return -(-max(height, width) // VIEW_SIDE)


def view_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a photo's view; a last, partial block is not shown."""
    k = reduction(height, width)
    return max(height // k, 1), max(width // k, 1)


def view(picture: Picture, box: Box | None = None) -> tuple[bytes, list[int]]:
    """The picture's view, or the part of it that holds `box` of the photo, as PNG, and its left, top, width, height.

    View pixels are means of whole blocks, so a part is equal to the same part of the whole.
    """
    height, width = picture.pixels.shape[:2]
    k = reduction(height, width)
    rows, columns = view_size(height, width)
    top, bottom, left, right = 0, rows, 0, columns
    if box is not None:
        top, bottom = min(box[0].start // k, rows - 1), min(-(-box[0].stop // k), rows)
        left, right = min(box[1].start // k, columns - 1), min(-(-box[1].stop // k), columns)
    part = np.ascontiguousarray(as_rgb8(picture.pixels[top * k : bottom * k, left * k : right * k]))
    if k > 1:
        part = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return encode_picture(PNG, Picture(part, picture.icc)), [left, top, right - left, bottom - top]


def draft_times(draft: Draft, screen: int) -> float | None:
    """How many times smaller than the photo a draft is drawn for a screen; None where that would not be sooner.

    A whole number from 2 on, as a photo is reduced fastest by one.
    """
    times = max(draft.request.photo.shape[:2]) / screen
    return None if times < LEAST_TIMES else times if times < 2 else float(int(times))


def draft_frame(draft: Draft, times: float, icc: bytes | None, header: dict[str, Any]) -> bytes:
    """An edit's draft, JPEG; the header gets `box`, left, top, width and height in view pixels, broken numbers."""
    box, pixels = draft.render(times)
    k = reduction(*draft.request.photo.shape[:2])
    with span("encode draft", "encode"):
        return pack({**header, "box": [side / k for side in box]}, encode_picture(JPEG, Picture(pixels, icc)))


def flow_frame(window: Window, flow: np.ndarray, header: dict[str, Any]) -> bytes:
    """A flow float32 [h, w, 2] in photo pixels; the header gets `box` and `grid` as in `motion_frame`."""
    height, width = window.size
    header = {**header, "box": [window.left, window.top, window.width, window.height], "grid": [width, height]}
    return pack(header, flow.astype("<f4").tobytes())


def motion_frame(motion: Motion, header: dict[str, Any], most: int = GRID_SIDE) -> bytes:
    """A preview: `flow` float16 [h, w, 2] in photo pixels, 0 outside the mask, then `mask` uint8 [h, w].

    The header gets `box`, left, top, width and height in the photo, and `grid`, w and h, of which none is above `most`.
    """
    with span("encode preview", "encode"):
        height, width = motion.mask.shape
        inside = motion.mask.astype(np.float32)
        side = min(most / max(height, width), 1.0)
        grid = (max(round(width * side), 1), max(round(height * side), 1))
        fields = (motion.flow * inside[..., None], inside)
        flow, mask = (cv2.resize(field, grid, interpolation=cv2.INTER_AREA) for field in fields)
        window = motion.window
        header = {**header, "box": [window.left, window.top, window.width, window.height], "grid": list(grid)}
        return pack(header, flow.astype("<f2").tobytes() + np.rint(mask * 255).astype(np.uint8).tobytes())
