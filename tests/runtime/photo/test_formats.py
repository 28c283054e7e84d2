"""The formats that phones and desks have."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.encode import encode
from edgedrag.runtime.photo.picture import Picture, load_picture, save_picture

GRID = np.mgrid[:40, :48].sum(0)[..., None] * [1, 2, 2] % 250
PIXELS = GRID.astype(np.uint8)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
OTHER = Image.fromarray(255 - PIXELS)


def written(form: str, image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 2), (20, 30, 3), (20, 30, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("rows", [20, 1500])
def test_tiff_is_read_by_others_as_it_was(tmp_path: Path, shape: tuple[int, ...], dtype: type, rows: int) -> None:
    tifffile = pytest.importorskip("tifffile", reason="the extra [test] brings tifffile")
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (rows, *shape[1:]), dtype)
    save_picture(tmp_path / "a.tif", pixels)
    expected = pixels[..., [0, 0, 0, 1]] if dtype is np.uint16 and pixels.ndim == 3 and shape[2] == 2 else pixels
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), expected)
    assert np.array_equal(load_picture(tmp_path / "a.tif").pixels, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_tiff_is_turned_once(orientation: int) -> None:
    tifffile = pytest.importorskip("tifffile", reason="the extra [test] brings tifffile")
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
    files = []
    for value in (1, orientation):
        out = io.BytesIO()
        tifffile.imwrite(out, deep, photometric="rgb", extratags=[(0x0112, 3, 1, value, True)])
        files.append(load_picture(out.getvalue()).pixels)
    eight = Image.fromarray((deep >> 8).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow = load_picture(written("PNG", eight, exif=exif)).pixels
    assert np.array_equal(files[0], deep) and np.array_equal(files[1] >> 8, shallow)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_of_several_pictures_is_read_and_said(form: str) -> None:
    image = Image.fromarray(PIXELS)
    options = {"lossless": True} if form == "WEBP" else {}
    data = written(form, image, save_all=True, append_images=[OTHER], **options)
    picture = load_picture(data)
    words = "several pages, and the first alone" if form == "TIFF" else "animated, and the first picture alone"
    assert picture.warnings == (f"photo: it {'has' if form == 'TIFF' else 'is'} {words} is read",)
    assert np.abs(picture.pixels[..., :3].astype(int) - PIXELS).mean() < 12, "palettes and lossy files are near"
    assert not load_picture(written(form, image, **options)).warnings


def test_bmp_gif_and_lossless_files_hold_their_pixels() -> None:
    for form, options in (("BMP", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})):
        picture = load_picture(written(form, Image.fromarray(PIXELS), **options))
        assert np.array_equal(picture.pixels, PIXELS) and not picture.lossy
    palette = Image.fromarray(PIXELS).quantize(64)
    assert np.array_equal(load_picture(written("GIF", palette)).pixels, np.asarray(palette.convert("RGB")))
    for form in ("JPEG", "WEBP", "AVIF"):
        assert load_picture(written(form, Image.fromarray(PIXELS))).lossy


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "JPEG", "BMP", "GIF", "AVIF"])
def test_one_pixel_is_a_photo_too(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    data = written(form, Image.new("RGB", (1, 1), (20, 20, 20)), **options)
    assert np.abs(load_picture(data).pixels.astype(int) - 20).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_a_damaged_file_is_one_sentence(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The decoders' own lines on stderr are not for the person who reads the error."""
    options = {"lossless": True} if form == "WEBP" else {}
    data = written(form, Image.fromarray(PIXELS), **options)
    with pytest.raises(InputError, match="damaged or cut short"):
        load_picture(data[: len(data) // 2])
    assert capfd.readouterr().err == ""


def test_heic_without_its_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEIC)
    with pytest.raises(InputError, match=r"a\.heic: HEIC is not read here; install pillow-heif with .*\[heic\]"):
        load_picture(tmp_path / "a.heic")


def test_avif_without_its_codec_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = written("AVIF", Image.fromarray(PIXELS))
    monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
    with pytest.raises(InputError, match=r"AVIF is not read here; install Pillow 11\.3 or later"):
        load_picture(data)
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(InputError, match=r"a\.avif: AVIF is not written here; install Pillow 11.3 or later"):
        save_picture(tmp_path / "a.avif", PIXELS)


def test_avif_whose_exif_pillow_cannot_write_is_opened_without_it() -> None:
    """The container turns it, the EXIF data does not say so, and holds a negative value that may not be one."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    data = written("AVIF", Image.fromarray(PIXELS), exif=exif.tobytes())
    at = data.index(b"MM\0*") + 10
    data = data[:at] + struct.pack(">HHIi", 0x0100, 9, 1, -5) + data[at + 12 :]
    picture = load_picture(data)
    assert picture.pixels.shape == (48, 40, 3) and b"camera" not in (picture.exif or b"")
    assert picture.warnings == ("photo: its EXIF data is damaged and is left out",)


def test_heic_of_ten_bits_is_read_as_eight_and_says_so() -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra [test] brings pillow-heif")
    deep = np.repeat(np.repeat(PIXELS.astype(np.uint16) * 257, 2, 0), 2, 1)
    out = io.BytesIO()
    heif.encode("RGB;16", deep.shape[1::-1], deep.tobytes(), out, quality=90)
    picture = load_picture(out.getvalue())
    assert picture.pixels.dtype == np.uint8 and picture.pixels.shape == deep.shape
    assert picture.warnings == ("photo: it has more than 8 bits a channel, and 8 of them are read",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "a JPEG XL file is not read"),
        (b"\0\0\0\x0cjP  \x0d\x0a\x87\x0a", "a JPEG 2000 file is not read"),
        (b"8BPS\0\1", "a Photoshop file is not read"),
        (b"%PDF-1.7", "a PDF file is not read"),
        (b"II\x2b\0\x08\0\0\0", "BigTIFF is not read"),
        (b"<svg/>", "not an image that is known here; JPEG, PNG, WebP, TIFF, AVIF, HEIC, GIF, BMP are read"),
    ],
)
def test_other_files_are_named(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_picture(data)


def test_a_raw_photo_is_not_taken_for_its_preview() -> None:
    data = written("TIFF", Image.fromarray(PIXELS), tiffinfo={0xC612: b"\1\4\0\0"})
    with pytest.raises(InputError, match="a camera's raw file"):
        load_picture(data)


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".jpg"])
def test_a_side_that_a_format_does_not_have_is_an_input_error(suffix: str) -> None:
    with pytest.raises(InputError, match=f"a{suffix}: cannot be written as"):
        encode(Path("a" + suffix), Picture(np.zeros((1, 70000, 3), np.uint8)), True)
