"""What the docs say about commands against the command line's help."""

from __future__ import annotations

import runpy

from conftest import REPOSITORY


def test_the_pages_are_up_to_date() -> None:
    pages = runpy.run_path(str(REPOSITORY / "tools" / "command_tables.py"))["pages"]()
    assert {"README.md", "commands.md", "engines.md"} <= {file.name for file in pages}
    for file, text in pages.items():
        assert file.read_text(encoding="utf-8") == text, f"{file.name}: run `python tools/command_tables.py`"
    assert "| `edgedrag engines build [BUNDLE]` |" in pages[REPOSITORY / "README.md"]
