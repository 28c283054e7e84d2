"""Photos of every format that `edgedrag drag` reads, at the station: opened, with warnings, marked where edited."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import get_args

import httpx
import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image
from pillow_heif import register_heif_opener
from stations import PNG, PULL, client, kiosk, opened, picture, png

import edgedrag
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.photo import plugins
from edgedrag.runtime.photo.formats import READ
from edgedrag.runtime.photo.stored import CONVERTED
from edgedrag.studio.api.app import _api_error
from edgedrag.studio.api.schemas import WarningCode

__all__ = ["client", "kiosk"]
MARK = b"compositeWithTrainedAlgorithmicMedia"
MOTION = {"drags": PULL, "motion_only": True}


def saved_as(form: str) -> bytes:
    register_heif_opener()
    out = io.BytesIO()
    options = {"save_all": True, "append_images": [Image.new("RGB", (600, 400))]} if form in ("GIF", "TIFF") else {}
    Image.open(io.BytesIO(PNG)).convert("RGB").save(out, {"HEIC": "HEIF"}.get(form, form), **options)
    return out.getvalue()


@pytest.mark.parametrize("form", [form.name for form in READ])
def test_every_format_is_opened_with_what_the_command_line_says_of_it(client: httpx.Client, form: str) -> None:
    """Under its own type, under none (Chromium knows none for HEIC), and under a wrong one, as of a renamed file."""
    data = saved_as(form)
    expected = edgedrag.load_picture(data)
    path = "/api/sessions/" + client.post("/api/sessions").json()["session"]
    for kind in (f"image/{form.lower()}", "", "image/jpeg", "application/octet-stream"):
        answer = client.put(f"{path}/photo", content=data, headers={"Content-Type": kind} if kind else {})
        assert answer.status_code == 200, answer.text
        shown = [(warning["code"], warning["detail"]) for warning in answer.json()["warnings"]]
        assert shown == [("left_out", sentence) for sentence in expected.warnings]
    assert bool(expected.warnings) == (form in ("GIF", "TIFF")), "of several pictures the first is read"
    assert np.array_equal(picture(client.get(f"{path}/picture").content), expected.pixels)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_colours_of_inks_are_a_warning_of_their_own(client: httpx.Client, form: str) -> None:
    out = io.BytesIO()
    Image.new("CMYK", (80, 64), (200, 10, 10, 0)).save(out, form, icc_profile=b"made for inks")
    path = opened(client, out.getvalue())
    (warning,) = client.get(path).json()["warnings"]
    assert warning["code"] == "inks" and "CMYK" in warning["detail"]
    assert picture(client.get(f"{path}/picture").content).shape == (64, 80, 3)


def test_every_code_of_a_warning_has_its_texts() -> None:
    texts = json.loads((REPOSITORY / "studio" / "static" / "i18n" / "en.json").read_text())
    codes = set(get_args(WarningCode))
    assert {f"warning_{code}" for code in codes} <= set(texts)
    assert {f"saved_{code}" for code in codes - {"mask_is_whole"}} <= set(texts), "a mask is in no file"
    assert set(CONVERTED) < codes


def test_a_missing_codec_is_a_type_that_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that of 415; it says of 422 that the photo may be damaged."""
    monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
    with pytest.raises(plugins.MissingCodec) as caught:
        edgedrag.load_picture(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(64))
    error = _api_error(caught.value)
    assert error is not None and error.status == 415 and "install" in error.detail


def test_a_mask_that_is_the_whole_photo_is_used_with_a_warning(client: httpx.Client) -> None:
    path = opened(client)
    mask = np.full((400, 600), 255, np.uint8)
    painted = client.put(f"{path}/mask", content=png(mask), headers={"Content-Type": "image/png"}).json()
    assert [warning["code"] for warning in painted["warnings"]] == ["mask_is_whole"]
    edited = client.post(f"{path}/edits", json=MOTION).json()
    assert "whole photo" in edited["warnings"][0]["detail"] and edited["state"]["warnings"] == []
    mask[0, 0] = 0
    client.put(f"{path}/mask", content=png(mask), headers={"Content-Type": "image/png"})
    assert client.post(f"{path}/edits", json=MOTION).json()["warnings"] == []
    assert client.post(f"{path}/edits", json=MOTION).json()["warnings"] == [], "a mask that the station made"


def test_an_edited_photo_is_marked_unless_the_operator_switched_that_off(client: httpx.Client, tmp_path: Path) -> None:
    path = opened(client)
    assert MARK not in client.get(f"{path}/picture").content, "it is the photo"
    client.post(f"{path}/edits", json=MOTION)
    assert MARK in client.get(f"{path}/picture").content
    with Kiosk(tmp_path, "--no-mark") as quiet, httpx.Client(base_url=quiet.url, timeout=60) as other:
        path = opened(other)
        other.post(f"{path}/edits", json=MOTION)
        for form in ("png", "jpeg", "webp"):
            assert MARK not in other.get(f"{path}/picture?format={form}").content


@pytest.mark.parametrize(
    "pixels, lost",
    [
        (np.zeros((64, 80, 4), np.uint8), ["transparency"]),
        (np.zeros((64, 80, 3), np.uint16), ["depth"]),
        (np.zeros((64, 80, 3), np.uint8), []),
    ],
    ids=["alpha", "16 bit", "neither"],
)
def test_what_jpeg_cannot_hold_is_known_before_it_is_saved(
    client: httpx.Client, pixels: np.ndarray, lost: list[str]
) -> None:
    path = opened(client, png(pixels))
    assert client.get(path).json()["jpeg_loses"] == lost
    assert client.get(f"{path}/picture?format=jpeg").status_code == (422 if lost else 200)
    assert client.get(f"{path}/picture?format=png").status_code == 200
