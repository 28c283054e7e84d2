"""Memory is known before a photo is decoded, and what would take too much is refused by its megabytes."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.formats import open_stored
from edgedrag.runtime.photo.picture import load_picture

SIDE = 2000
PEAK = """
import re, sys
from edgedrag.runtime.photo.picture import load_picture

def memory(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1e3

load_picture(sys.argv[1])
for file in sys.argv[2:]:
    open("/proc/self/clear_refs", "w").write("5")
    before = memory("VmRSS")
    load_picture(file)
    print(memory("VmHWM") - before)
"""


def files() -> dict[str, bytes]:
    """Large pictures of small files, a kind each of what takes memory in its own way."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = Image.new("RGB", (SIDE, SIDE), (90, 120, 150))
    alpha = Image.new("LA", (SIDE, SIDE), (90, 120))
    found: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "png": (plain, "PNG", {"transparency": (1, 2, 3)}),
        "turned png": (plain, "PNG", {"exif": exif}),
        "grey png": (alpha, "PNG", {}),
        "jpeg": (plain, "JPEG", {}),
        "progressive jpeg": (plain, "JPEG", {"progressive": True, "subsampling": 0}),
        "webp": (plain, "WEBP", {"lossless": True, "quality": 0, "method": 0}),
    }
    made = {}
    for name, (image, form, options) in found.items():
        out = io.BytesIO()
        image.save(out, form, **options)
        made[name] = out.getvalue()
    made["16 bits"] = cv2.imencode(".png", np.zeros((SIDE, SIDE, 3), np.uint16))[1].tobytes()
    return made


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures by Linux's /proc")
def test_opening_takes_no_more_than_is_said_before(tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    Image.new("RGB", (64, 64)).save(small)
    photos = files()
    for name, data in photos.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", PEAK, small, *(tmp_path / name for name in photos)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for (name, data), taken in zip(photos.items(), done.stdout.split(), strict=True):
        said = open_stored(name, data).megabytes(6 if name == "turned png" else 1)
        assert float(taken) < said + 20, name  # MB of strips, and the file itself


def test_what_would_take_more_than_the_limit_is_refused_by_its_megabytes() -> None:
    side = 400
    deep = cv2.imencode(".png", np.zeros((side, side, 4), np.uint16))[1].tobytes()
    assert load_picture(deep, 0.3).pixels.shape == (side, side, 4)
    with pytest.raises(
        InputError, match=r"photo: opening 400 x 400 pixels of this PNG would take 3 MB of memory, more"
    ):
        load_picture(deep, 0.2)


def test_a_photo_of_100_megapixels_takes_less_than_a_gigabyte() -> None:
    """A PNG of one colour: 291 kB that became 1.6 GB."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG")
    small = open_stored("photo", out.getvalue())
    assert small.megabytes(1) / (64 * 64) * 1e8 <= 600 and small.megabytes(6) / (64 * 64) * 1e8 <= 600
