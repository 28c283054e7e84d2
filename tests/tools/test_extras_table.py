"""The table of extras in docs/jetson.md against pyproject.toml and against the resolver that made it."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("extras_table", REPOSITORY / "tools" / "extras_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed(script: ModuleType) -> str:
    return script.PAGE.read_text().split(script.BEGIN)[1].split(script.END)[0].strip()


@pytest.fixture(scope="module")
def rows(committed: str) -> list[list[str]]:
    lines = [line for line in committed.splitlines() if line.startswith("|")]
    return [[cell.strip(" `[]") for cell in line.strip("|").split("|")] for line in lines]


def test_each_extra_has_a_row(script: ModuleType, rows: list[list[str]]) -> None:
    assert [row[0] for row in rows[3:]] == script.extras()
    assert {"cpu", "gpu", "rtx", "tensorrt", "quality", "export", "studio", "test"} <= set(script.extras())
    assert all(re.match(r"(yes|no): .", cell) for row in rows[2:] for cell in row[1:])


def test_the_page_installs_what_was_resolved(script: ModuleType) -> None:
    install = re.search(r'pip install "\.\[cpu\]" .*', script.PAGE.read_text())
    assert install is not None
    for system in script.SYSTEMS:
        assert system.cuda.split("==")[1] in install[0]
        name = f"jetpack{system.name.split()[1][0]}.Dockerfile"
        assert system.cuda in (REPOSITORY / "docker" / name).read_text()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(("row", "column"), [("INSTALLED", 0), ("gpu", 0), ("gpu", 1)])
def test_the_resolver_says_the_same(
    script: ModuleType, committed: str, rows: list[list[str]], row: str, column: int
) -> None:
    """Cells that differ between the systems; `python tools/extras_table.py` resolves all."""
    if importlib.util.find_spec("uv") is None:
        pytest.skip("uv is not installed; the extra [test] brings it")
    day = re.search(r"before (\d{4}-\d\d-\d\d)", committed)
    assert day is not None
    asked = script.INSTALLED if row == "INSTALLED" else row
    shown = rows[2] if row == "INSTALLED" else next(line for line in rows if line[0] == row)
    try:
        assert script.resolve(asked, script.SYSTEMS[column], day[1]) == shown[1 + column]
    except script.Unreachable as error:
        pytest.skip(f"no package index answers: {error}")


def test_a_network_that_is_away_is_not_taken_for_a_missing_wheel(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("uv") is None:
        pytest.skip("uv is not installed; the extra [test] brings it")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with pytest.raises(script.Unreachable):
        script.resolve("cpu", script.SYSTEMS[0], "2026-11-28")
