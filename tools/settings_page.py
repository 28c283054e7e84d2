"""Writes docs/studio.schema.json, and the tables of settings between their markers in docs/studio.md.

python tools/settings_page.py (with the extra [studio] installed)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edgedrag.studio.settings_file import SettingsFile

DOCS = Path(__file__).resolve().parents[1] / "docs"
MARKED = re.compile(r"(<!-- settings: written by python tools/settings_page.py -->\n).*?(<!-- settings: end -->)", re.S)


def schema() -> str:
    """The JSON Schema of a settings file."""
    return json.dumps(SettingsFile.model_json_schema(), indent=2) + "\n"


def rows(kind: type[BaseModel], table: str = "") -> Iterator[str]:
    """A row for each setting, those of tables last."""
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            inner.append((name, field.annotation))
        else:
            about = field.description or "As the option of this name."
            yield f"| {table}`{name}` | {_value(field.default)} | {about} |"
    for name, model in inner:
        yield from rows(model, f"`[{name}]` ")


def _value(default: Any) -> str:
    if default is None:
        return ""
    return f"`{json.dumps(str(default) if isinstance(default, Path) else default)}`"


def page(text: str) -> str:
    """A page with its table of settings as the code has them."""
    table = "\n".join(["| setting | default | |", "|---|---|---|", *rows(SettingsFile)])
    return MARKED.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)


def main() -> None:
    """Write both."""
    (DOCS / "studio.schema.json").write_text(schema())
    studio = DOCS / "studio.md"
    studio.write_text(page(studio.read_text()))


if __name__ == "__main__":
    main()
