"""What people pass for photos, masks, drags and numbers: every usual form is taken, all else is an InputError."""

from __future__ import annotations

import io
import math
import pydoc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import edgedrag
from edgedrag.runtime.drag.drags import check_drags
from edgedrag.runtime.session.arguments import whole_number

FILE = EXAMPLES / "chelsea.png"
DRAG = [((265.0, 240.0), (245.0, 250.0))]
ITSELF: list[Any] = []
ITSELF.append(ITSELF)

hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=2),
)
nearly_drags = st.lists(st.tuples(*[st.tuples(*[st.floats() | st.integers() | st.text(max_size=2)] * 2)] * 2))


def disc(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x - 250) ** 2 + (y - 235) ** 2 < 60**2


@pytest.fixture
def opened() -> Iterator[io.BufferedReader]:
    with FILE.open("rb") as file:
        yield file


def test_a_photo_comes_from_whatever_holds_one(cat: np.ndarray, opened: io.BufferedReader) -> None:
    data = FILE.read_bytes()
    with Image.open(FILE) as image:
        for source in (FILE, str(FILE), opened, io.BytesIO(data), data, bytearray(data), memoryview(data), image, cat):
            assert np.array_equal(edgedrag.load_picture(source).pixels, cat), type(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_pillow_images_of_many_modes_are_taken_and_left_as_they_were(mode: str) -> None:
    image = Image.new("L", (6, 4), 200)
    image = Image.fromarray(np.full((4, 6), 50_000, np.uint16)) if mode == "I;16" else image.convert(mode)
    image.getexif()[0x0112] = 6
    exif = dict(image.getexif())
    picture = edgedrag.load_picture(image)
    assert picture.pixels.dtype == (np.uint16 if mode == "I;16" else np.uint8)
    assert picture.pixels.shape[2:] == {"LA": (2,), "PA": (4,), "RGBA": (4,)}.get(
        mode, () if mode in ("1", "L", "I;16") else (3,)
    )
    assert image.mode == mode and dict(image.getexif()) == exif


@pytest.mark.parametrize("source", [
    5, None, [[1, 2], [3, 4]], object(), "", "\0", "no such.png", b"", b"not a photo", io.StringIO("text"), Path("/"),
    np.zeros((4, 4)), np.zeros(4, np.uint8), np.array("x"), np.array([[None]]), Image.new("F", (4, 4)),
    Image.new("L", (0, 4)),
])  # fmt: skip
def test_what_is_no_photo_is_an_input_error(runtime: edgedrag.Runtime, source: Any) -> None:
    with pytest.raises(edgedrag.InputError):
        runtime.load(source)


@given(hostile)
@settings(deadline=None, max_examples=200)
def test_nothing_that_is_given_as_a_photo_raises_anything_else(source: Any) -> None:
    with pytest.raises(edgedrag.InputError):
        edgedrag.load_picture(source)


@pytest.mark.parametrize("value", [0, -1, math.nan, "100", None, True, [1]])
def test_limits_that_are_none_are_named(runtime: edgedrag.Runtime, cat: np.ndarray, value: Any) -> None:
    with pytest.raises(edgedrag.InputError, match="max_megapixels"):
        runtime.load(cat, value)
    if value is not None:
        with pytest.raises(edgedrag.InputError, match="undo_limit"):
            runtime.load(cat, undo_limit=0 if value is True else value)


def test_a_mask_comes_from_whatever_holds_one(runtime: edgedrag.Runtime, cat: np.ndarray, tmp_path: Path) -> None:
    mask = disc(cat.shape)
    file = tmp_path / "mask.png"
    edgedrag.save_picture(file, mask)
    photo = runtime.load(cat)
    expected = photo.preview(DRAG, mask)
    with Image.open(file) as image:
        for given in (file, file.read_bytes(), io.BytesIO(file.read_bytes()), image, mask * 0.5, mask.astype(int)):
            assert np.array_equal(photo.preview(DRAG, given), expected), type(given)


@pytest.mark.parametrize("mask", [
    5, [[1]], object(), b"", "no such.png", np.array(5), np.array([["a"]]), np.array([[None]]),
    np.zeros((2, 2), complex),
])  # fmt: skip
def test_what_is_no_mask_is_an_input_error(runtime: edgedrag.Runtime, cat: np.ndarray, mask: Any) -> None:
    with pytest.raises(edgedrag.InputError, match=r"mask|no such\.png"):
        runtime.load(cat).preview(DRAG, mask)


@pytest.mark.parametrize("form", [
    lambda points: [(tuple(p[:2]), tuple(p[2:])) for p in points.tolist()],
    lambda points: [[p[:2], p[2:]] for p in points.tolist()],
    lambda points: points,
    lambda points: points.reshape(-1, 2, 2),
    lambda points: list(points.reshape(-1, 2, 2)),
    lambda points: [(p[:2], p[2:]) for p in points],
    lambda points: points.astype(np.uint8),
])  # fmt: skip
def test_drags_in_every_usual_form(form: Callable[[np.ndarray], Any]) -> None:
    points = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float64)
    assert np.array_equal(check_drags(form(points), 20, 20), points)


@pytest.mark.parametrize("drags", [
    "1,2:3,4", ["1,2:3,4"], [("12", "34")], [((1, 2), (3, "4"))], [((1, 2), (3,))], [(1, 2, 3, 4)], ((1, 2), (3, 4)),
    [((1, 2), (3, None))], [((1, 2), (3, 10**400))], [((1, 2), (3, 1j))], {1: 2}, iter([]), 5, None, ITSELF, [[[[]]]],
    [((1, 2), (3, math.nan))], [((1, 2), (3, math.inf))], np.zeros((1, 4), bool), np.zeros((1, 3)), np.zeros(4),
    np.array(5), np.zeros((0, 4)), np.zeros((65, 4)), np.array([[None] * 4]),
])  # fmt: skip
def test_what_are_no_drags_is_an_input_error(drags: Any) -> None:
    with pytest.raises(edgedrag.InputError, match=r"^drags:"):
        check_drags(drags, 20, 20)


@given(hostile | nearly_drags)
@settings(deadline=None, max_examples=300)
def test_drags_are_points_in_the_photo_or_an_input_error(drags: Any) -> None:
    try:
        points = check_drags(drags, 20, 30)
    except edgedrag.InputError:
        return
    assert points.shape == (len(drags), 4) and points.dtype == np.float32
    assert (points >= 0).all() and (points[:, 0::2] <= 29).all() and (points[:, 1::2] <= 19).all()


@pytest.mark.parametrize("value", [1.0, True, np.True_, "3", None, math.nan, [3], np.float32(3), b"3"])
@pytest.mark.parametrize("argument", ["steps", "seed"])
def test_steps_and_seed_are_whole_numbers(
    runtime: edgedrag.Runtime, cat: np.ndarray, argument: str, value: Any
) -> None:
    if argument == "steps" and value is None:
        return
    with pytest.raises(edgedrag.InputError, match=f"{argument}: .* is not a whole number"):
        runtime.load(cat).drag(DRAG, **{argument: value})
    assert whole_number(argument, np.int64(3)) == 3


def test_what_is_saved_is_an_edit_a_photo_a_picture_or_an_array(
    runtime: edgedrag.Runtime, cat: np.ndarray, tmp_path: Path
) -> None:
    photo = runtime.load(edgedrag_with_profile(tmp_path))
    edit = photo.move(DRAG, disc(cat.shape))
    for what in (edit, photo, photo.picture, edit.image):
        edgedrag.save_picture(tmp_path / "out.png", what)
        again = edgedrag.load_picture(tmp_path / "out.png")
        assert np.array_equal(again.pixels, edit.image)
        assert (again.icc is None) == isinstance(what, np.ndarray), "the profile goes with what has it"
    for wrong in (5, None, "photo.png", np.zeros((4, 4)), runtime):
        with pytest.raises(edgedrag.InputError, match="picture"):
            edgedrag.save_picture(tmp_path / "wrong.png", wrong)  # type: ignore[arg-type]
    with pytest.raises(edgedrag.InputError, match="path"):
        edgedrag.save_picture(5, photo)  # type: ignore[arg-type]
    assert not (tmp_path / "wrong.png").exists()


def edgedrag_with_profile(folder: Path) -> Path:
    """The example with an ICC profile."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(FILE) as image:
        image.save(folder / "profile.png", icc_profile=profile)
    return folder / "profile.png"


def test_each_repr_is_one_line_that_says_what_it_is(runtime: edgedrag.Runtime, cat: np.ndarray) -> None:
    photo = runtime.load(cat)
    edit = photo.move(DRAG, disc(cat.shape))
    assert "embedded on cpu" in repr(runtime)
    assert repr(photo) == "<Photo 451 x 300 RGB uint8, 1 edit to undo, 0 to redo>"
    assert f"<Edit {edit.checks.verdict}: 451 x 300" in repr(edit)
    assert repr(photo.picture) == "<Picture 451 x 300 RGB uint8>"
    for what in (runtime, photo, edit, photo.picture, photo.undo()):
        assert "\n" not in repr(what) and len(repr(what)) < 200


def test_help_is_of_the_public_names_alone() -> None:
    text = pydoc.plain(pydoc.render_doc(edgedrag))
    assert "grab a point, move it" in text and "conftest" not in text
    for name in edgedrag.__all__:
        assert name in text and (getattr(edgedrag, name).__doc__ or "").strip(), name
