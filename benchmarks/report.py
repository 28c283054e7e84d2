"""Writing reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgedrag.runtime.files import write_aside


def write_report(figures: dict[str, Any], file: Path | None) -> None:
    """Write figures as JSON, atomically; does nothing if `file` is None."""
    if file is not None:
        write_aside(file, (json.dumps(figures, indent=1) + "\n").encode())
