"""Odd files that people have, each with the values that it must give. They lie in cases/."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from edgedrag.runtime.drag.mask import check_mask
from edgedrag.runtime.photo import exif as exif_data
from edgedrag.runtime.photo.picture import load_picture, save_picture

CASES = Path(__file__).parent / "cases"
SUFFIXES = (".png", ".jpg", ".webp", ".tif")
# File, and the words of the only warning; None where nothing may be left out.
OPENED: dict[str, str | None] = {
    "bit4_trns.png": None,
    "cicp_8.png": None,
    "crc_bad_anc.png": "its tEXt chunk has a wrong checksum and is left out",
    "disc.jpg": None,
    "exif_70k.png": None,
    "gama_linear.png": None,
    "gps_ascii_rational.jpg": None,
    "grey16_trns.png": None,
    "icc_short.jpg": "its colour profile lacks a part and is left out",
    "iccp_garbage.png": "its colour profile is damaged and is left out",
    "itxt_2mb_z.png": "its text 'XML:com.adobe.xmp' (iTXt) is damaged or longer than 1 MB, and is left out",
    "white_alpha.png": None,
    "width_negative_long.jpg": None,
    "ztxt_2mb.png": "its text 'parameters' (zTXt) is damaged or longer than 1 MB, and is left out",
}


def test_every_case_has_its_row() -> None:
    assert {file.name for file in CASES.iterdir()} == set(OPENED)


@pytest.mark.parametrize("name", OPENED)
def test_every_case_is_opened_with_a_warning_of_what_is_left_out(name: str) -> None:
    picture = load_picture(CASES / name)
    expected = OPENED[name]
    assert picture.warnings == (() if expected is None else (f"{CASES / name}: {expected}",))


@pytest.mark.parametrize("name", sorted(set(OPENED) - {"bit4_trns.png", "grey16_trns.png"}))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_case_is_saved_and_opens_again(tmp_path: Path, name: str, suffix: str) -> None:
    picture = load_picture(CASES / name)
    if suffix == ".jpg" and name == "white_alpha.png":
        return
    save_picture(tmp_path / f"a{suffix}", picture)
    again = load_picture(tmp_path / f"a{suffix}")
    assert not again.warnings
    if suffix != ".jpg" and picture.pixels.ndim == 3:
        assert np.array_equal(again.pixels, picture.pixels)


@pytest.mark.parametrize("name", [name for name in OPENED if not name.endswith("_trns.png")])
def test_the_pixels_are_those_of_another_reader(name: str) -> None:
    data = CASES / name
    if name.endswith(".jpg") and name != "icc_short.jpg":
        with Image.open(data) as image:
            expected = np.asarray(image if name == "disc.jpg" else image.transpose(Image.Transpose.ROTATE_270))
    else:
        stored = cv2.imread(str(data), cv2.IMREAD_UNCHANGED)  # which reads the PNGs that Pillow refuses
        expected = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB if stored.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    assert np.array_equal(load_picture(data).pixels, expected)


def test_grey_with_a_transparent_value_keeps_depth_and_transparency() -> None:
    raw = cv2.imread(str(CASES / "grey16_trns.png"), cv2.IMREAD_UNCHANGED)
    deep = load_picture(CASES / "grey16_trns.png").pixels
    assert deep.dtype == np.uint16 and np.array_equal(deep[..., 0], raw)
    assert np.array_equal(deep[..., 1], np.where(raw == 0, 0, 65535)), "the transparent value is 0"
    with Image.open(CASES / "bit4_trns.png") as image:
        grey = np.asarray(image.convert("L"))
    shallow = load_picture(CASES / "bit4_trns.png").pixels
    assert np.array_equal(shallow[..., 0], grey) and np.array_equal(shallow[..., 1], np.where(grey == 3 * 17, 0, 255))


@pytest.mark.parametrize(
    ("name", "directory", "tag", "type_", "value"),
    [
        ("gps_ascii_rational.jpg", 0x8825, 2, 2, b"abc\0"),
        ("width_negative_long.jpg", 0x8769, 0xA002, 9, struct.pack("<i", -5)),
    ],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exif_that_is_not_as_it_should_be_is_written_as_it_was(
    tmp_path: Path, name: str, directory: int, tag: int, type_: int, value: bytes, suffix: str
) -> None:
    picture = load_picture(CASES / name)
    assert picture.pixels.shape == (320, 240, 3), "upright"
    assert picture.exif is not None
    original = (CASES / name).read_bytes().partition(b"Exif\0\0")[2][: len(picture.exif)]
    assert sum(a != b for a, b in zip(original, picture.exif)) == 1, "the orientation's byte alone"
    assert not save_picture(tmp_path / f"a{suffix}", picture)
    written = load_picture(tmp_path / f"a{suffix}").exif
    assert written is not None
    entries = exif_data.read_directory(written).children[directory].entries
    assert [(e.type, bytes(e.value)) for e in entries if e.tag == tag] == [(type_, value)]


def test_70_kb_of_exif_go_into_jpeg_without_the_largest_value(tmp_path: Path) -> None:
    picture = load_picture(CASES / "exif_70k.png")
    assert picture.exif is not None and len(picture.exif) > 70000
    (loss,) = save_picture(tmp_path / "a.jpg", picture)
    assert "MakerNote of its 70056 bytes of EXIF data is left out" in loss
    assert not save_picture(tmp_path / "a.png", picture)
    assert load_picture(tmp_path / "a.png").exif == picture.exif


@pytest.mark.parametrize(("name", "chunk"), [("cicp_8.png", b"cICP"), ("gama_linear.png", b"gAMA")])
def test_colour_chunks_travel_to_png_and_become_a_profile_elsewhere(tmp_path: Path, name: str, chunk: bytes) -> None:
    picture = load_picture(CASES / name)
    save_picture(tmp_path / "a.png", picture)
    again = load_picture(tmp_path / "a.png")
    assert [kind for kind, _ in again.png_chunks] == [chunk] and again.png_chunks == picture.png_chunks
    for suffix in (".jpg", ".webp", ".tif"):
        assert not save_picture(tmp_path / f"a{suffix}", picture)
        with Image.open(tmp_path / f"a{suffix}") as image:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        shown = ImageCms.applyTransform(Image.new("RGB", (1, 1), (128, 128, 128)), transform)
        grey = 128 if chunk == b"cICP" else 188  # linear 0.502 is 188 in sRGB
        assert shown is not None and max(abs(value - grey) for value in shown.getpixel((0, 0))) <= 1


def test_masks_are_read_as_they_were_drawn() -> None:
    alpha = load_picture(CASES / "white_alpha.png")
    assert np.array_equal(check_mask(alpha, 400, 600), alpha.pixels[..., 3] > 0)
    lossy = load_picture(CASES / "disc.jpg")
    assert lossy.lossy
    mask = check_mask(lossy, 400, 600)
    assert np.array_equal(mask, lossy.pixels >= 128)
    assert mask.mean() < 0.05 < (lossy.pixels > 0).mean(), "JPEG's noise around the disc is not in it"
