"""Photos as people have them, and files that are none."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture, encode_picture, load_picture, save_picture

RNG = np.random.default_rng(0)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 2), (30, 40, 3), (30, 40, 4)])
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_lossless_round_trip_with_profile_and_exif(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera"
    original = Picture(pixels(*shape), ICC, exif.tobytes())
    save_picture(tmp_path / f"a{suffix}", original)
    again = load_picture(tmp_path / f"a{suffix}")
    expected = original.pixels
    if (suffix == ".webp" and len(shape) < 3) or (shape[-1] == 2 and suffix == ".webp"):  # WebP has no grey
        expected = np.asarray(Image.fromarray(expected).convert("RGBA" if shape[-1] == 2 else "RGB"))
    assert np.array_equal(again.pixels, expected)
    assert again.icc == ICC
    assert again.exif is not None and b"camera" in again.exif


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (30, 40, 4)])
def test_sixteen_bits_and_their_profile(tmp_path: Path, shape: tuple[int, ...]) -> None:
    original = Picture(pixels(*shape, dtype=np.uint16), ICC)
    save_picture(tmp_path / "a.png", original)
    again = load_picture(tmp_path / "a.png")
    assert again.pixels.dtype == np.uint16
    assert np.array_equal(again.pixels, original.pixels)
    assert again.icc == ICC
    rgb = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)  # another reader sees the same colours
    assert np.array_equal(rgb if len(shape) == 2 else rgb[..., [2, 1, 0, 3][: shape[2]]], original.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(pixels(24, 40, 3))
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    loaded = load_picture(tmp_path / "a.png")
    turn = {
        1: lambda i: i,
        2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
        4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        6: lambda i: i.transpose(Image.Transpose.ROTATE_270),
        7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
        8: lambda i: i.transpose(Image.Transpose.ROTATE_90),
    }[orientation]
    assert np.array_equal(loaded.pixels, np.asarray(turn(stored)))
    save_picture(tmp_path / "b.png", loaded)
    assert np.array_equal(load_picture(tmp_path / "b.png").pixels, loaded.pixels), "not turned twice"


def test_other_modes_become_plain_ones(tmp_path: Path) -> None:
    base = Image.fromarray(pixels(20, 20, 3))
    for mode, shape in (("1", (20, 20)), ("P", (20, 20, 3)), ("CMYK", (20, 20, 3))):
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        base.convert(mode).save(path)
        assert load_picture(path).pixels.shape == shape
    base.convert("P").save(tmp_path / "t.png", transparency=3)
    assert load_picture(tmp_path / "t.png").pixels.shape == (20, 20, 4)


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def broken_files() -> dict[str, tuple[bytes, str]]:
    def encoded(kind: str, array: np.ndarray) -> bytes:
        out = io.BytesIO()
        Image.fromarray(array).save(out, kind)
        return out.getvalue()

    deep = cv2.imencode(".png", pixels(64, 64, 3, dtype=np.uint16))[1].tobytes()
    return {
        "empty": (b"", "empty"),
        "text": (b"hello, this is not a photo", "not an image"),
        "jpeg_xl": (b"\xff\x0a" + bytes(40), "JPEG XL file is not read; save it as one of JPEG, PNG"),
        "cut_jpeg": (encoded("JPEG", pixels(200, 200, 3))[:9000], "cut short"),
        "cut_png": (encoded("PNG", pixels(200, 200, 3))[:9000], "cut short"),
        "cut_webp": (encoded("WEBP", pixels(200, 200, 3))[:2000], "cut short"),
        "cut_16_bit": (deep[: len(deep) // 2], "cut short"),
        "bomb": (png_header(30000, 30000), "limit of 100 megapixels"),
        "only_a_header": (png_header(30, 30), "cut short"),
    }


@pytest.mark.parametrize("kind", sorted(broken_files()))
def test_broken_files_are_refused_in_words(tmp_path: Path, kind: str) -> None:
    data, words = broken_files()[kind]
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        load_picture(path)
    assert "photo.png" in str(caught.value)


def test_missing_files_folders_and_the_settable_limit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read"):
        load_picture(tmp_path)
    save_picture(tmp_path / "a.png", Picture(pixels(100, 100, 3)))
    with pytest.raises(InputError, match="megapixels"):
        load_picture(tmp_path / "a.png", max_megapixels=0.005)
    limit = Image.MAX_IMAGE_PIXELS
    load_picture(tmp_path / "a.png")
    assert limit == Image.MAX_IMAGE_PIXELS, "the host program's own limit stays"


@pytest.mark.parametrize("array", [np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8)])
def test_arrays_of_other_forms_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="array"):
        load_picture(array)


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, words in ((tmp_path / "no" / "a.png", "no such folder"), (tmp_path / "a.bmp", "write to one of")):
        with pytest.raises(InputError, match=words):
            save_picture(path, Picture(pixels(4, 4, 3)))
    with pytest.raises(InputError, match="16"):
        save_picture(tmp_path / "a.jpg", Picture(pixels(4, 4, 3, dtype=np.uint16)))
    with pytest.raises(InputError, match="transparency"):
        save_picture(tmp_path / "a.jpg", Picture(pixels(4, 4, 4)))
    save_picture(tmp_path / "a.png", Picture(pixels(4, 4, 3)))
    before = (tmp_path / "a.png").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        save_picture(tmp_path / "a.png", Picture(pixels(4, 4, 3)))
    assert (tmp_path / "a.png").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_bytes_are_read_and_made_as_files_are(tmp_path: Path, cat: np.ndarray) -> None:
    data = encode_picture(tmp_path / "cat.png", Picture(cat))
    assert np.array_equal(load_picture(data).pixels, cat) and not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="photo: not an image"):
        load_picture(b"not a picture")


def test_a_photo_beyond_pillows_own_limit_is_read_where_ours_allows_it(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Pillow's limit is one for the process; ours is of each call, and nothing of the process is changed for it."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in ("PNG", "JPEG", "WEBP", "BMP"):
        out = io.BytesIO()
        Image.fromarray(pixels(40, 50, 3)).save(out, kind)
        assert load_picture(out.getvalue()).pixels.shape == (40, 50, 3)
        with pytest.raises(InputError, match="megapixels"):
            load_picture(out.getvalue(), max_megapixels=0.001)
    frames = [Image.fromarray(pixels(40, 50, 3)) for _ in range(2)]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="photo: has more pixels than are read of such a file"):
        load_picture(out.getvalue())
    assert not recwarn and Image.MAX_IMAGE_PIXELS == 10
