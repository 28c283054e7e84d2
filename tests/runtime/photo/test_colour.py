"""Profiles that are made from PNG's colour chunks, against colours that the standards give."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from edgedrag.runtime.photo.colour import CURVES, D65, PRIMARIES, SRGB, profile_of
from edgedrag.runtime.photo.encode import encode
from edgedrag.runtime.photo.icc import SRGB_CURVE, fault, matrix_profile
from edgedrag.runtime.photo.picture import Picture, load_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def in_srgb(profile: bytes, colour: tuple[int, int, int]) -> tuple[int, ...]:
    """A colour of a profile in sRGB, by LittleCMS."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB", relative)
    shown = ImageCms.applyTransform(Image.new("RGB", (1, 1), colour), transform)
    assert shown is not None
    return tuple(shown.getpixel((0, 0)))


def light(value: float) -> float:
    g, a, b, c, d = SRGB_CURVE
    return (a * value + b) ** g if value >= d else c * value


def expected_in_srgb(chromaticities: tuple[float, ...], linear: np.ndarray) -> np.ndarray:
    """Linear values of primaries with a D65 white in sRGB, 0 to 255, by the equations of SMPTE RP 177."""

    def to_xyz(values: tuple[float, ...]) -> np.ndarray:
        xy = np.array(values).reshape(4, 2)
        xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
        return xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])

    shown = np.clip(np.linalg.inv(to_xyz(SRGB)) @ to_xyz(chromaticities) @ linear, 0, 1)
    return 255 * np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("code", [code for code, (_, xy) in PRIMARIES.items() if xy[:2] == D65])
def test_primaries_are_shown_as_their_chromaticities_say(code: int) -> None:
    chunks = ((b"cICP", bytes((code, 13, 0, 1))),)
    profile, loss = profile_of(chunks, None, False)
    assert loss is None
    if code == 1:
        assert profile is None, "sRGB needs none"
        profile = matrix_profile("x", SRGB, SRGB_CURVE, False)
    assert profile is not None and fault(profile, False) is None
    for colour in ((200, 120, 90), (60, 150, 80), (128, 128, 128), (90, 100, 180), (255, 255, 255)):
        linear = np.array([light(value / 255) for value in colour])
        expected = expected_in_srgb(PRIMARIES[code][1], linear)
        assert np.abs(np.array(in_srgb(profile, colour)) - expected).max() <= 1.5


@pytest.mark.parametrize(("code", "value"), [(8, 188), (4, 128), (13, 128), (5, 106), (1, 140)])
def test_transfer_functions_are_shown_as_their_curves_say(code: int, value: int) -> None:
    profile = matrix_profile("x", SRGB, CURVES[code], False)
    assert all(abs(shown - value) <= 1.5 for shown in in_srgb(profile, (128, 128, 128)))


def test_gamma_and_chromaticities_make_a_profile_and_those_of_srgb_none() -> None:
    srgb_primaries = (b"cHRM", struct.pack(">8I", *(round(value * 1e5) for value in SRGB)))
    assert profile_of(((b"gAMA", struct.pack(">I", 45455)), srgb_primaries), None, False) == (None, None)
    assert profile_of(((b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000))), None, False) == (None, None)
    linear, loss = profile_of(((b"gAMA", struct.pack(">I", 100000)),), None, False)
    assert loss is None and linear is not None and abs(in_srgb(linear, (128, 128, 128))[0] - 188) <= 1
    wide = (b"cHRM", struct.pack(">8I", *(round(value * 1e5) for value in PRIMARIES[12][1])))
    profile, loss = profile_of((wide,), None, False)
    assert loss is None and profile is not None and in_srgb(profile, (200, 120, 90))[0] > 202
    assert profile_of((wide,), b"a profile", False) == (b"a profile", None), "iCCP counts before cHRM"


def test_grey_photos_get_a_profile_for_grey() -> None:
    profile, _ = profile_of(((b"gAMA", struct.pack(">I", 100000)),), None, True)
    assert profile is not None and profile[16:20] == b"GRAY" and fault(profile, True) is None
    picture = Picture(PIXELS[..., 0], icc=profile)
    for suffix in (".png", ".tif", ".jpg"):
        data, left_out = encode(Path("a" + suffix), picture, True)
        assert not left_out and load_picture(data).icc == profile
    data, left_out = encode(Path("a.webp"), picture, True)
    assert left_out == ("a.webp: its colour profile for grey is left out: WebP cannot hold it",)
    assert load_picture(data).icc is None and not load_picture(data).warnings


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (b"cICP", bytes((9, 16, 0, 1)), "the colour of its cICP chunk (9, 16, 0, 1)"),
        (b"cICP", bytes((1, 13, 6, 1)), "the colour of its cICP chunk (1, 13, 6, 1)"),
        (b"cHRM", bytes(32), "the colour of its gAMA and cHRM chunks"),
        (b"cHRM", struct.pack(">8I", *[30000] * 8), "the colour of its gAMA and cHRM chunks"),
        (b"gAMA", bytes(4), "the colour of its gAMA and cHRM chunks"),
    ],
)
def test_colour_that_no_profile_can_say_is_named(kind: bytes, body: bytes, words: str) -> None:
    picture = Picture(PIXELS, png_chunks=((kind, body),))
    for suffix, name in ((".jpg", "JPEG"), (".webp", "WebP"), (".tif", "TIFF"), (".avif", "AVIF")):
        assert encode(Path("a" + suffix), picture, True)[1] == (
            f"a{suffix}: {words} is left out: {name} cannot hold it",
        )
    data, left_out = encode(Path("a.png"), picture, True)
    assert not left_out and load_picture(data).png_chunks == picture.png_chunks
