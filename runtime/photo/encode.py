"""A picture as a file of its suffix's format, and what that format cannot hold of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo import exif as exif_data
from edgedrag.runtime.photo import jpeg, xmp
from edgedrag.runtime.photo.colour import profile_of
from edgedrag.runtime.photo.pixels import Picture, colour_and_alpha, is_grey
from edgedrag.runtime.photo.png_read import MAX_TEXT, TEXT_CHUNKS
from edgedrag.runtime.photo.png_write import encode_png
from edgedrag.runtime.photo.tiff import encode_tiff
from edgedrag.runtime.photo.webp import encode_webp

AVIF_QUALITY = 90


@dataclass(frozen=True)
class Metadata:
    """What is written beside the pixels."""

    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    density: tuple[int, int, int] | None
    chunks: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Written:
    """A format that is written, and what it can hold.

    Attributes:
        encode: gives the file.
        lossless: it holds the pixels exactly.
        deep: it holds 16 bits a channel.
        alpha: it holds transparency.
        grey: it holds grey as one channel.
        density: it holds a resolution outside the EXIF data.
        most_exif, most_xmp: bytes of EXIF data and XMP; no limit where None.
    """

    name: str
    encode: Callable[[np.ndarray, Metadata], bytes]
    lossless: bool = True
    deep: bool = False
    alpha: bool = True
    grey: bool = True
    density: bool = True
    most_exif: int | None = None
    most_xmp: int | None = None


def _png(pixels: np.ndarray, data: Metadata) -> bytes:
    return encode_png(pixels, data.icc, data.exif, data.xmp, data.density, data.chunks)


def _webp(pixels: np.ndarray, data: Metadata) -> bytes:
    return encode_webp(pixels, data.icc, data.exif, data.xmp)


def _tiff(pixels: np.ndarray, data: Metadata) -> bytes:
    if is_grey(pixels) and pixels.ndim == 3 and pixels.dtype == np.uint16:
        pixels = pixels[..., [0, 0, 0, 1]]  # few programs read 16-bit grey with alpha in TIFF
    return encode_tiff(pixels, data.icc, data.exif, data.xmp, data.density)


def _jpeg(pixels: np.ndarray, data: Metadata) -> bytes:
    return jpeg.encode_jpeg(pixels, data.icc, data.exif, data.xmp, data.density)


def _avif(pixels: np.ndarray, data: Metadata) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    # Pillow interprets all EXIF data that has an orientation.
    exif = None if data.exif is None else exif_data.without(data.exif, {exif_data.ORIENTATION})
    metadata = {name: value for name, value in (("icc_profile", data.icc), ("exif", exif), ("xmp", data.xmp)) if value}
    subsampling = "4:0:0" if pixels.ndim == 2 else "4:4:4"
    Image.fromarray(pixels).save(out, "AVIF", quality=AVIF_QUALITY, subsampling=subsampling, **metadata)
    return out.getvalue()


PNG = Written("PNG", _png, deep=True, most_xmp=MAX_TEXT)
WEBP = Written("WebP", _webp, grey=False, density=False)
TIFF = Written("TIFF", _tiff, deep=True)
JPEG = Written("JPEG", _jpeg, lossless=False, alpha=False, most_exif=jpeg.MAX_EXIF, most_xmp=jpeg.MAX_XMP)
AVIF = Written("AVIF", _avif, lossless=False, density=False)
BY_SUFFIX = {".png": PNG, ".webp": WEBP, ".tif": TIFF, ".tiff": TIFF, ".jpg": JPEG, ".jpeg": JPEG, ".avif": AVIF}


def format_to_write(path: Path) -> Written:
    """The format of a file's suffix; raises InputError where there is none, or none that can be written here."""
    form = BY_SUFFIX.get(path.suffix.lower())
    if form is None:
        raise InputError(f"{path}: write to one of {', '.join(BY_SUFFIX)}")
    if form is AVIF and not _writes_avif():
        raise InputError(f"{path}: AVIF is not written here; install Pillow 11.3 or later, built with AVIF")
    return form


def _writes_avif() -> bool:
    from PIL import features

    return bool(features.check("avif"))


REFUSED = {"transparency", "depth"}  # a picture with these is not written where they cannot be held


def cannot_hold(suffix: str, picture: Picture) -> tuple[str, ...]:
    """What a format of a suffix cannot hold of a picture: of REFUSED, or "metadata", some of which is left out."""
    form, lost = BY_SUFFIX[suffix], list[str]()
    _metadata(picture, form, False, lost)
    losses = {
        "transparency": colour_and_alpha(picture.pixels)[1] is not None and not form.alpha,
        "depth": picture.pixels.dtype != np.uint8 and not form.deep,
        "metadata": bool(lost),
    }
    return tuple(name for name, is_lost in losses.items() if is_lost)


def encode(path: Path, picture: Picture, mark: bool) -> tuple[bytes, tuple[str, ...]]:
    """The file of a picture, and what was left out, a sentence each.

    Args:
        mark: an edited picture's file says that it is one.

    Raises:
        InputError: the format cannot hold the pixels.
    """
    form, pixels = format_to_write(path), picture.pixels
    if pixels.dtype != np.uint8 and not form.deep:
        raise InputError(f"{path}: this format holds 8 bits a channel, the photo has 16; write a .png or .tif")
    if colour_and_alpha(pixels)[1] is not None and not form.alpha:
        raise InputError(f"{path}: {form.name} holds no transparency, the photo has it; write a .png")
    lost: list[str] = []
    metadata = _metadata(picture, form, mark, lost)
    try:
        data = form.encode(pixels, metadata)
    except (OSError, ValueError, RuntimeError) as error:  # such as more pixels along a side than the format has
        raise InputError(f"{path}: cannot be written as {form.name} ({error})") from None
    return data, tuple(f"{path}: {what} is left out: {form.name} cannot hold it" for what in lost)


def _metadata(picture: Picture, form: Written, mark: bool, lost: list[str]) -> Metadata:
    exif = _exif(picture, form, lost)
    packet = _xmp(picture, form, mark, lost)
    if form is PNG:
        return Metadata(picture.icc, exif, packet, picture.density, picture.png_chunks)
    grey = is_grey(picture.pixels)
    icc, loss = profile_of(picture.png_chunks, picture.icc, grey)
    if loss:
        lost.append(loss)
    if icc is not None and icc[16:20] == b"GRAY" and not form.grey:
        lost.append("its colour profile for grey")
        icc = None
    keywords = {body.partition(b"\0")[0].decode("latin-1") for kind, body in picture.png_chunks if kind in TEXT_CHUNKS}
    if keywords:
        lost.append(f"its text ({', '.join(sorted(keywords))})")
    return Metadata(icc, exif, packet, picture.density, ())


def _exif(picture: Picture, form: Written, lost: list[str]) -> bytes | None:
    exif = picture.exif and picture.exif.removeprefix(exif_data.PREFIX)
    try:
        if exif:
            exif_data.read_directory(exif)
        if picture.density is not None and not form.density:
            x, y, unit = picture.density
            if unit:
                exif = exif_data.with_resolution(exif or None, x, y)
            else:
                lost.append("the aspect ratio of its pixels")
    except ValueError:
        lost.append("its EXIF data, which is damaged,")
        return None
    if not exif or form.most_exif is None:
        return exif or None
    size = len(exif)
    exif, dropped = exif_data.fit(exif, form.most_exif)
    if dropped:
        lost.append(f"{', '.join(dropped)} of its {size} bytes of EXIF data")
    return exif


def _xmp(picture: Picture, form: Written, mark: bool, lost: list[str]) -> bytes | None:
    packet = picture.xmp
    if packet is not None and not xmp.is_sound(packet):
        lost.append("its XMP, which is damaged,")
        packet = None
    marking = picture.edited and mark
    written = xmp.marked(packet) if marking else packet
    if written is None or form.most_xmp is None or len(written) <= form.most_xmp:
        return written
    lost.append(f"its XMP of {len(written)} bytes")
    return xmp.marked(None) if marking else None
