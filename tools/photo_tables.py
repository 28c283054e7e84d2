"""Writes the tables of docs/photos.md, from files that are made, opened, saved and compared.

python tools/photo_tables.py (with the extra [test] installed)
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import png  # pypng: a PNG reader and writer that shares no code with libpng
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from pillow_heif import register_heif_opener

from edgedrag.runtime.photo.encode import BY_SUFFIX, encode
from edgedrag.runtime.photo.formats import READ
from edgedrag.runtime.photo.picture import Picture, load_picture

PAGE = Path(__file__).resolve().parents[1] / "docs" / "photos.md"
NAME = "python tools/photo_tables.py"
KINDS = ("grey", "RGB", "palette")
DEPTHS = (1, 2, 4, 8, 16)
TRANSPARENCIES = ("none", "tRNS", "alpha")
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    b"</x:xmpmeta>"
)
ORIENTATION, CAMERA = 0x0112, 0x010F
PLAIN = ("JPEG", "GIF", "BMP")  # without transparency
OPTIONS = {"WebP": {"lossless": True, "exact": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}


@dataclass(frozen=True)
class Cell:
    """A kind of PNG: how it is opened, and whether every value is that of the other reader, before and after saving."""

    shown: str
    exact: bool


def png_file(kind: str, depth: int, transparency: str, interlaced: bool) -> bytes | None:
    """A PNG of random values with transparent ones among them; None for a kind that there is none of."""
    alpha, palette = transparency == "alpha", kind == "palette"
    if (alpha and (depth < 8 or palette)) or (kind == "RGB" and depth < 8) or (palette and depth > 8):
        return None
    rng = np.random.default_rng(depth)
    height, width, most = 13, 11, 2**depth - 1
    channels = (3 if kind == "RGB" else 1) + alpha
    values = rng.integers(0, most, (height, width, channels), endpoint=True)
    values[::2, ::2] = values[0, 0]
    options: dict[str, Any] = {"greyscale": kind == "grey", "alpha": alpha, "bitdepth": depth}
    if palette:
        entries = rng.integers(0, 256, (most + 1, 4 if transparency == "tRNS" else 3))
        options = {"palette": [tuple(entry) for entry in entries.tolist()], "bitdepth": depth}
    elif transparency == "tRNS":
        key = values[0, 0].tolist()
        options["transparent"] = key[0] if kind == "grey" else tuple(key)
    out = io.BytesIO()
    png.Writer(width, height, interlace=interlaced, **options).write_array(out, values.ravel().tolist())
    return out.getvalue()


def read_independently(data: bytes) -> np.ndarray:
    """A PNG's values by pypng, with fewer than 8 bits scaled to 8, as an array like a `Picture`'s."""
    width, height, rows, info = png.Reader(bytes=data).asDirect()
    most = 2 ** info["bitdepth"] - 1
    values = np.array([list(row) for row in rows], np.int64).reshape(height, width, info["planes"])
    scaled = values * (255 // most) if most < 255 else values
    return scaled.squeeze(-1) if info["planes"] == 1 else scaled


def matrix() -> dict[tuple[str, str, int], Cell | None]:
    """Every kind of PNG by kind, transparency and depth; None where there is none."""
    cells: dict[tuple[str, str, int], Cell | None] = {}
    for kind in KINDS:
        for transparency in TRANSPARENCIES:
            for depth in DEPTHS:
                files = [png_file(kind, depth, transparency, interlaced) for interlaced in (False, True)]
                cells[kind, transparency, depth] = None if files[0] is None else _cell([f for f in files if f])
    return cells


def _cell(files: list[bytes]) -> Cell:
    exact = True
    for data in files:
        picture, expected = load_picture(data), read_independently(data)
        again = read_independently(encode(Path("a.png"), picture, True)[0])
        exact &= not picture.warnings and np.array_equal(picture.pixels, expected) and np.array_equal(again, expected)
    channels = 1 if picture.pixels.ndim == 2 else picture.pixels.shape[2]
    form = {1: "grey", 2: "grey, alpha", 3: "RGB", 4: "RGBA"}[channels]
    return Cell(f"{form}, {picture.pixels.dtype.itemsize * 8}", exact)


def matrix_lines() -> list[str]:
    """The matrix as Markdown."""
    lines = ["| PNG | " + " | ".join(f"{depth} bit{'s' * (depth > 1)}" for depth in DEPTHS) + " |"]
    lines.append("|---" * (len(DEPTHS) + 1) + "|")
    cells = matrix()
    for kind in KINDS:
        for transparency in TRANSPARENCIES:
            row = [cells[kind, transparency, depth] for depth in DEPTHS]
            if any(row):
                name = kind if transparency == "none" else f"{kind}, {transparency}"
                shown = ["" if cell is None else cell.shown if cell.exact else f"{cell.shown}: differs" for cell in row]
                lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines


def sample(form: str, pixels: np.ndarray, orientation: int = 1, everything: bool = False) -> bytes | None:
    """A file that edgedrag did not write; None where the format does not hold such pixels.

    Args:
        everything: with ICC profile, EXIF and XMP, where the writer can.
    """
    out = io.BytesIO()
    if pixels.dtype == np.uint16:
        return _deep_sample(form, pixels)
    image = Image.fromarray(pixels)
    if form in PLAIN and image.mode not in ("L", "RGB"):
        return None
    exif = Image.Exif()
    exif[ORIENTATION], exif[CAMERA] = orientation, "camera"
    more: dict[str, Any] = {"icc_profile": ICC, "xmp": XMP} if everything else {}
    if form == "PNG" and everything:
        more = {"icc_profile": ICC, "pnginfo": PngInfo()}
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    if form == "TIFF":
        more = {"icc_profile": ICC} if everything else {}
        more["tiffinfo"] = {ORIENTATION: orientation, CAMERA: "camera"} | ({700: XMP} if everything else {})
    elif form not in ("GIF", "BMP"):
        more["exif"] = exif.tobytes()
    register_heif_opener()
    image.save(out, {"HEIC": "HEIF"}.get(form, form), **OPTIONS.get(form, {}), **more)
    return out.getvalue()


def _deep_sample(form: str, pixels: np.ndarray) -> bytes | None:
    out = io.BytesIO()
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if form == "PNG":
        writer = png.Writer(*pixels.shape[1::-1], greyscale=channels < 3, alpha=channels in (2, 4), bitdepth=16)
        writer.write_array(out, pixels.ravel().tolist())
    elif form == "TIFF" and channels != 2:
        kind = "rgb" if channels > 2 else "minisblack"
        tifffile.imwrite(out, pixels, photometric=kind, extrasamples=["unassalpha"] if channels == 4 else None)
    else:
        return None
    return out.getvalue()


def smooth(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """A picture that differs under every turn and flip, [H, W, ...]."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    planes = [(x * (2 + k) + y * (5 - k)) % 200 + 20 for k in range(shape[2] if len(shape) > 2 else 1)]
    stacked = np.stack(planes, -1) * (257 if dtype is np.uint16 else 1)
    return stacked.astype(dtype).reshape(shape)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels as displayed, by the rotations and flips of Exif 2.32, table 6."""
    flips = {2: 0, 4: 2, 5: 1, 7: 3}
    if orientation in flips:  # a left-right flip, then quarter turns to the left
        return np.rot90(pixels[:, ::-1], flips[orientation])
    return np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])


def upright_count(form: str) -> int | None:
    """How many of the 8 orientations give the upright photo pixel for pixel; None where the format has none."""
    if form in ("GIF", "BMP"):
        return None
    stored = smooth(48, 64, 3)
    files = [sample(form, stored, orientation) for orientation in range(1, 9)]
    plain = load_picture(files[0] or b"").pixels
    pictures = [load_picture(data or b"").pixels for data in files]
    return sum(np.array_equal(picture, turned(plain, number)) for number, picture in enumerate(pictures, 1))


def depths_of(form: str) -> str:
    """The depths and channels that are read as they are."""
    found = []
    for dtype, bits in ((np.uint8, 8), (np.uint16, 16)):
        names = []
        for shape, name in (((9, 12), "grey"), ((9, 12, 2), "grey, alpha"), ((9, 12, 3), "RGB"), ((9, 12, 4), "RGBA")):
            try:
                data = sample(form, smooth(*shape, dtype=dtype))
                kept = data is not None and load_picture(data).pixels.shape == shape
            except (OSError, ValueError):
                kept = False
            names += [name] * kept
        found += [f"{bits}: {'; '.join(names)}"] * bool(names)
    return "<br>".join(found)


def metadata_of(form: str) -> str:
    """The metadata that is read."""
    picture = load_picture(sample(form, smooth(9, 12, 3), everything=True) or b"")
    exif = picture.exif is not None and b"camera" in picture.exif
    return ", ".join(n for n, value in (("ICC", picture.icc == ICC), ("EXIF", exif), ("XMP", picture.xmp)) if value)


def written_of(form: str) -> str:
    """What a written file holds: pixels exactly or not, 16 bits, transparency, metadata."""
    suffix = next((suffix for suffix, written in BY_SUFFIX.items() if written.name == form), None)
    if suffix is None:
        return ""
    written, path = BY_SUFFIX[suffix], Path("a" + suffix)
    exif = Image.Exif()
    exif[CAMERA] = "camera"
    picture = Picture(smooth(9, 12, 3), ICC, exif.tobytes(), XMP)
    again = load_picture(encode(path, picture, True)[0])
    exact = np.array_equal(again.pixels, picture.pixels)
    kept = [name for name, old, new in (("ICC", ICC, again.icc), ("XMP", XMP, again.xmp)) if old == new]
    kept += ["EXIF"] * (again.exif is not None and b"camera" in again.exif)
    form_text = "exact" if exact and written.lossless else "lossy"
    more = [name for name, has in (("16 bits", written.deep), ("alpha", written.alpha)) if has]
    return ", ".join([form_text, *more, *sorted(kept)])


def format_lines() -> list[str]:
    """The table of formats as Markdown."""
    lines = [
        "| format | read: bits: channels | orientations upright | metadata read | written |",
        "|---|---|---|---|---|",
    ]
    for form in READ:
        count = upright_count(form.name)
        cells = [form.name, depths_of(form.name), "" if count is None else f"{count} of 8"]
        lines.append("| " + " | ".join([*cells, metadata_of(form.name), written_of(form.name)]) + " |")
    return lines


def page() -> str:
    """The page with its tables rewritten."""
    text = PAGE.read_text(encoding="utf-8")
    for title, lines in (("matrix", matrix_lines()), ("formats", format_lines())):
        begin, end = f"<!-- {title}: written by {NAME} -->", f"<!-- {title}: end -->"
        before, rest = text.split(begin)
        text = before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    return text


def main() -> None:
    """Rewrite the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
