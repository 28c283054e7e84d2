"""Opens and saves mutated picture files: bytes flipped, cut off, or spliced from another file, by fixed seeds.

python tools/fuzz_photos.py --count 10000 [FORMAT...] (with the extra [test] installed)

A case fails by any error but InputError, by 5 s of processor time, by the end of its process, or by more memory than
the limit of a photo. Prints a line for each format, and one for each case that fails, which `--first` runs again.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import select
import subprocess
import sys
import zlib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from pillow_heif import register_heif_opener

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import BYTES_PER_PIXEL, encode_picture, load_picture

FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "AVIF", "HEIC", "GIF", "BMP")
SUFFIXES = (".png", ".webp", ".tif", ".jpg", ".avif")
SECONDS = 5.0  # of processor time for a case
MEGAPIXELS = 10.0
SLACK = 200.0  # MB beside a photo's limit: libraries that are loaded on the way, and the saved file
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'


@cache
def samples(form: str) -> tuple[bytes, ...]:
    """Small files of a format in several kinds, with metadata where it has any."""
    rng = np.random.default_rng(0)
    grid = np.mgrid[:40, :48].sum(0)[..., None] * [1, 2, 3] % 256
    image = Image.fromarray((grid // 2 + rng.integers(0, 40, grid.shape)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    exif.get_ifd(0x8769)[0x9286] = b"a comment"
    exif.get_ifd(0x8825)[1] = "N"
    metadata: dict[str, Any] = {"icc_profile": ICC, "exif": exif.tobytes(), "xmp": XMP.encode()}
    rgba, grey, palette = image.convert("RGBA"), image.convert("L"), image.quantize(16)
    rgba.putalpha(grey)
    frames = {"save_all": True, "append_images": [image.rotate(90)]}
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP, zip=True)
    text.add_text("Title", "a title", zip=True)
    deep = np.asarray(image).astype(np.uint16) * 257
    made: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "JPEG": [(image, metadata), (image, {"progressive": True}), (grey, {}), (image.convert("CMYK"), {})],
        "PNG": [(image, {**metadata, "pnginfo": text, "dpi": (300, 300)}), (grey, {"exif": exif.tobytes()}),
                (palette, {"transparency": 3, "exif": exif.tobytes()}), (rgba, {"icc_profile": ICC, "pnginfo": text})],
        "WebP": [(image, metadata), (rgba, {"lossless": True}), (image, frames)],
        "TIFF": [(image, {"icc_profile": ICC, "compression": "tiff_lzw", "tiffinfo": {0x0112: 6, 700: XMP.encode()}}),
                 (image, frames), (palette, {}), (image, {"compression": "jpeg"})],
        "AVIF": [(image, metadata), (rgba, {}), (image, frames)],
        "HEIC": [(image, metadata), (rgba, {})],
        "GIF": [(palette, frames), (grey, {})],
        "BMP": [(image, {}), (palette, {}), (rgba, {})],
    }  # fmt: skip
    register_heif_opener()
    files = []
    for picture, options in made[form]:
        out = io.BytesIO()
        picture.save(out, {"HEIC": "HEIF"}.get(form, form), **options)
        files.append(out.getvalue())
    if form in ("PNG", "TIFF"):
        files.append(cv2.imencode({"PNG": ".png", "TIFF": ".tif"}[form], deep)[1].tobytes())
    return tuple(files)


def mutated(form: str, number: int) -> bytes:
    """The mutated file of a number."""
    rng = np.random.default_rng((FORMATS.index(form), number))
    files = samples(form)
    data = bytearray(files[number % len(files)])
    kind = number // len(files) % 3
    for _ in range(rng.integers(1, 4)):  # headers hold most of what a parser reads, so most of the places lie there
        end = len(data) if rng.random() < 0.25 else min(len(data), 400)
        at = int(rng.integers(0, max(end, 1)))
        if kind == 0 and data:
            data[at] = int(rng.choice([rng.integers(256), 0, 255, data[at] ^ (1 << rng.integers(8))]))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 400)) if rng.random() < 0.7 else len(data)]
        elif kind == 2:
            other = files[int(rng.integers(len(files)))]
            begin = int(rng.integers(len(other)))
            data[at : at + int(rng.integers(0, 60))] = other[begin : begin + int(rng.integers(1, 400))]
    return _with_right_checksums(bytes(data)) if form == "PNG" and rng.random() < 0.7 else bytes(data)


def _with_right_checksums(data: bytes) -> bytes:
    """A PNG whose mutations get past the checksums of its chunks."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 12 + int.from_bytes(out[at : at + 4], "big")
        if end > len(out):
            break
        out[end - 4 : end] = zlib.crc32(out[at + 4 : end - 4]).to_bytes(4, "big")
        at = end
    return bytes(out)


def outcome(form: str, number: int) -> str:
    """ "opened" where a file was opened and saved, "refused" where it or the saving was, else what happened."""
    try:
        picture = load_picture(mutated(form, number), MEGAPIXELS)
        for suffix in (".png", SUFFIXES[number % len(SUFFIXES)]):
            try:
                encode_picture(Path("a" + suffix), picture)
            except InputError:  # such as transparency in JPEG
                continue
    except InputError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "opened"


def work(form: str, first: int, count: int) -> None:
    """Run cases and print a line of JSON for each."""
    for number in range(first, first + count):
        result = outcome(form, number)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps([number, result, peak]), flush=True)


def processor_seconds(process: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(form: str, first: int, count: int) -> tuple[Counter[str], float, float]:
    """Run cases in processes that may end or hang; returns outcomes, and first and highest memory in MB."""
    outcomes: Counter[str] = Counter()
    begin = peak = 0.0
    at, end = first, first + count
    while at < end:
        command = [sys.executable, __file__, form, "--worker", "--first", str(at), "--count", str(end - at)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        assert child.stdout is not None
        used, buffer = 0.0, b""
        while at < end:
            ready = select.select([child.stdout], [], [], 1.0)[0]
            if not ready and processor_seconds(child.pid) - used > SECONDS:
                result = "hangs"
                child.kill()
                break
            if not ready:
                continue
            buffer += (read := child.stdout.read(65536))
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                number, result, peak_now = json.loads(line)
                begin, peak = begin or peak_now, max(peak, peak_now)
                outcomes[result if result in ("opened", "refused") else "failed"] += 1
                if result not in ("opened", "refused"):
                    print(f"{form} {number}: {result}", flush=True)
                at = number + 1
            if not read:
                result = f"ends with {child.wait()}"
                break
            used = processor_seconds(child.pid)
        else:
            child.wait()
            continue
        print(f"{form} {at}: {result}", flush=True)
        outcomes["failed"] += 1
        at += 1
        child.wait()
    return outcomes, begin, peak


def main() -> None:
    """Run all cases of the formats that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    failed = False
    for form in options.formats or FORMATS:
        if options.worker:
            work(form, options.first, options.count)
            continue
        outcomes, begin, peak = watch(form, options.first, options.count)
        limit = MEGAPIXELS * BYTES_PER_PIXEL + SLACK
        failed |= outcomes["failed"] > 0 or peak - begin > limit
        figures = ", ".join(f"{outcomes[name]} {name}" for name in ("opened", "refused", "failed"))
        print(f"{form}: {figures}; memory grew by {peak - begin:.0f} MB, at most {limit:.0f} allowed", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
