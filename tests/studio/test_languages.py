"""The page's files: each language has all texts, with the same names in them; what works without the station."""

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


def test_the_service_worker_stores_all_of_the_page() -> None:
    static = FOLDER.parent
    listed = re.findall(r'"static/(.*?)"', (static / "sw.js").read_text())
    files = {file.relative_to(static).as_posix() for file in static.rglob("*") if file.is_file()}
    of_staff = {name for name in files if name.startswith("staff")} | {"chart.js"}
    assert sorted(listed) == sorted(files - of_staff - {"sw.js", "index.html"})


def test_every_text_that_the_page_names_exists() -> None:
    named = set()
    for file in [*FOLDER.parent.glob("*.js"), *FOLDER.parent.glob("*.html")]:
        named |= set(re.findall(r'\bt\("(\w+)"|data-word(?:-label)?="(\w+)"|say\("(\w+)"\)', file.read_text()))
    names = {name for groups in named for name in groups if name}
    assert len(names) > 60 and names <= set(texts(FOLDER / "en.json"))


def test_every_language_is_offered() -> None:
    offered = re.findall(
        r"(\w\w): \"", (FOLDER.parent / "words.js").read_text().partition("LANGUAGES = ")[2].partition("}")[0]
    )
    assert sorted(offered) == [file.stem for file in LANGUAGES]
