"""Pixels in memory with what belongs to them, and views of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """Pixels [H, W] (grey), [H, W, 2] (grey, alpha), [H, W, 3] (RGB) or [H, W, 4] (RGBA), uint8 or uint16.

    Attributes:
        icc: the ICC profile.
        exif: the EXIF data, from its TIFF header on; the orientation in it is 1, since it is already applied.
        xmp: the XMP packet.
        png_chunks: type and content of the PNG chunks that hold colour and text; written to PNG as they are.
        density: pixels along x and y in a metre, and 1; or their ratio alone, and 0; as in PNG's pHYs.
        lossy: the file that it comes from holds its pixels inexactly.
        edited: a drag changed it, which a saved file says.
        warnings: what was left out when it was loaded, a sentence each.
    """

    pixels: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    density: tuple[int, int, int] | None = None
    lossy: bool = False
    edited: bool = False
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        kept = [name for name, value in (("ICC profile", self.icc), ("EXIF", self.exif), ("XMP", self.xmp)) if value]
        return f"<Picture {', '.join([describe(self.pixels), *kept])}>"


def describe(pixels: np.ndarray) -> str:
    """Size and form of a picture in words."""
    form = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}[1 if pixels.ndim == 2 else pixels.shape[2]]
    return f"{pixels.shape[1]} x {pixels.shape[0]} {form} {pixels.dtype}"


def is_grey(pixels: np.ndarray) -> bool:
    """Whether a picture has no colour channels."""
    return pixels.ndim == 2 or pixels.shape[2] == 2


def colour_and_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Split a picture into colour [H, W, 1 or 3] and alpha [H, W, 1] or None; both are views."""
    if pixels.ndim == 2:
        return pixels[..., None], None
    channels = pixels.shape[2]
    return (pixels, None) if channels == 3 else (pixels[..., : channels - 1], pixels[..., channels - 1 :])


def as_rgb8(pixels: np.ndarray) -> np.ndarray:
    """Any picture's colour as uint8 RGB [H, W, 3]; a view where it can be."""
    colour, _ = colour_and_alpha(pixels)
    if colour.dtype == np.uint16:
        colour = (colour >> 8).astype(np.uint8)
    return cv2.merge([colour] * 3) if colour.shape[2] == 1 else colour
