"""A short form of tools/kills.py: commands that are killed leave nothing half-written, and go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kills"), [("drag", 3), ("batch", 3), ("studio", 2), ("releases", 3)])
def test_what_is_killed_goes_on(tmp_path: Path, name: str, kills: int) -> None:
    report = tmp_path / "report.json"
    tool = [sys.executable, str(REPOSITORY / "tools" / "kills.py"), name, "--kills", str(kills), "-o", str(report)]
    done = subprocess.run(tool, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(report.read_text())["commands"][name]
    assert figures["kills"] == kills and figures["problems"] == []
