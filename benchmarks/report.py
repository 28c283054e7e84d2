"""Reading and writing reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import write_aside


def read_json(file: Path) -> Any:
    """What a JSON file holds. Raises InputError where it cannot be read or is not JSON."""
    return parse_json(file, read_text(file))


def read_text(file: Path) -> str:
    """What a text file holds. Raises InputError where it cannot be read or is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not a text ({error})") from None


def parse_json(file: Path, text: str) -> Any:
    """What a file's text says. Raises InputError where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error})") from None


def write_report(figures: dict[str, Any], file: Path | None) -> None:
    """Write figures as JSON, atomically; does nothing if `file` is None."""
    if file is not None:
        write_aside(file, (json.dumps(figures, indent=1) + "\n").encode())
