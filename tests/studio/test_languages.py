"""The page's languages: each has all texts, with the same names in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

FOLDER = REPOSITORY / "studio" / "static" / "i18n"
LANGUAGES = sorted(FOLDER.glob("*.json"))


def texts(file: Path) -> dict[str, str]:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_a_language_has_every_text_and_the_same_names(file: Path) -> None:
    english, own = texts(FOLDER / "en.json"), texts(file)
    assert list(own) == list(english), "the same keys in the same order"
    for key, text in own.items():
        assert text.strip(), key
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", english[key])), key
