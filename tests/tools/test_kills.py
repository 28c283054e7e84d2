"""A short form of tools/kills.py: commands that are killed leave nothing half-written, and go on."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
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


def test_weights_are_compared_by_value(tmp_path: Path) -> None:
    """Two undisturbed runs write their metadata in different orders."""
    safetensors = pytest.importorskip("safetensors.numpy")
    spec = importlib.util.spec_from_file_location("kill_cases", REPOSITORY / "tools" / "kill_cases.py")
    assert spec is not None and spec.loader is not None
    cases = importlib.util.module_from_spec(spec)
    sys.modules["kill_cases"] = cases  # its dataclass looks itself up there
    spec.loader.exec_module(cases)
    weights, metadata = np.arange(4, dtype=np.float32), {f"key {number}": "value" for number in range(20)}
    files = [tmp_path / f"{number}.safetensors" for number in range(4)]
    for file in files:
        safetensors.save_file({"weights": weights + (file == files[-1])}, file, metadata)
    assert cases.same_weights(files[0], files[1]) and cases.same_weights(files[0], files[2])
    assert not cases.same_weights(files[0], files[-1])
