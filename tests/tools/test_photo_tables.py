"""The tables of docs/photos.md, and with them every kind of PNG and every orientation against other programs."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from conftest import REPOSITORY

for package in ("png", "tifffile", "pillow_heif"):
    pytest.importorskip(package, reason="the extra [test] brings pypng, tifffile and pillow-heif")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("photo_tables", REPOSITORY / "tools" / "photo_tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_kind_of_png_keeps_its_values(script: ModuleType) -> None:
    cells = {key: cell for key, cell in script.matrix().items() if cell is not None}
    assert len(cells) == 26, "the kinds that the standard has"
    assert not [key for key, cell in cells.items() if not cell.exact]
    assert cells["grey", "tRNS", 2].shown == "grey, alpha, 8"
    assert cells["grey", "tRNS", 16].shown == cells["grey", "alpha", 16].shown == "grey, alpha, 16"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "TIFF", "AVIF", "HEIC"])
def test_every_orientation_gives_the_upright_photo(script: ModuleType, form: str) -> None:
    assert script.upright_count(form) == 8


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    if "8: grey" not in script.depths_of("AVIF"):
        pytest.skip("this version of Pillow reads grey AVIF as RGB")
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), f"run `{script.NAME}`"
