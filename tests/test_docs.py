"""The pages: links and paths that they name exist, the justfile parses, commands that they show are there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

import edgedrag

PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "examples").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
RECIPES = {"setup", "fast", "test", "lint", "docs", "pictures", "wheel"}


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def repository_paths(page: Path) -> set[str]:
    """What a page names in backticks that is a path from the repository's root: it begins with one of its folders."""
    roots = {entry.name for entry in REPOSITORY.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    named = {words for words in CODE.findall(prose(page)) if re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*/?", words)}
    return {words for words in named if "/" in words and words.split("/")[0] in roots}


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"} <= {page.name for page in PAGES}
    assert {"architecture.md", "glossary.md", "bundle.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, f"{page.name}: {broken}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    missing = [path for path in sorted(repository_paths(page)) if not (REPOSITORY / path).exists()]
    assert not missing, f"{page.name}: {missing}"


def test_a_wrong_path_and_a_wrong_link_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n`runtime/no_such.py` `a/b` [x](no.md) [y](#two) [z](#one)\n```\n`runtime/in_code.py`\n```\n"
    )
    assert repository_paths(page) == {"runtime/no_such.py"}
    with pytest.raises(AssertionError, match=r"no\.md.*#two"):
        test_links_lead_somewhere(page)


def test_the_glossary_is_in_order() -> None:
    terms = re.findall(r"^\*\*(.+?)\*\*", (REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8"), re.M)
    assert len(terms) > 20 and terms == sorted(terms, key=str.lower)


def test_the_justfile_parses_and_has_its_recipes() -> None:
    just = shutil.which("just")
    if just is None:
        pytest.skip("just is not installed")
    done = subprocess.run([just, "--summary"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert RECIPES <= set(done.stdout.split())


def test_the_version_stands_in_one_place() -> None:
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in pyproject and not re.search(r"^version = \"", pyproject, re.M)
    versions = re.findall(r"^## \[(.+?)\]", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert edgedrag.__version__ in versions
    assert versions.index(edgedrag.__version__) <= 1, "the newest but for what is unreleased"
