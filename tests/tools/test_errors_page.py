"""docs/errors.md against the enumerations that it is made from."""

from __future__ import annotations

import runpy

from conftest import REPOSITORY


def test_the_page_is_up_to_date() -> None:
    tool = runpy.run_path(str(REPOSITORY / "tools" / "errors_page.py"))
    assert tool["PAGE"].read_text(encoding="utf-8") == tool["page"](), "run `python tools/errors_page.py`"
