"""Pages that do not show which version made which result, and the count of what was kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from conftest import REPOSITORY

TOOL = REPOSITORY / "tools" / "blind_sheet.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_two_versions_are_drawn_judged_and_counted(tmp_path: Path) -> None:
    photo = REPOSITORY / "examples" / "coffee.png"
    drags = [{"name": f"spoon {n}", "image": str(photo), "drags": [[[365, 285], [370 + n, 290]]]} for n in range(2)]
    (tmp_path / "drags.jsonl").write_text("".join(json.dumps(line) + "\n" for line in drags))
    drawn = run("draw", tmp_path / "drags.jsonl", "--source", REPOSITORY, "-o", tmp_path / "out")
    assert drawn.returncode == 0, drawn.stderr
    assert cv2.imread(str(tmp_path / "out" / "001.png")).shape[1] > 300
    judged = tmp_path / "out" / "judged.jsonl"
    lines = [json.loads(line) for line in judged.read_text().splitlines()]
    assert [(line["name"], line["side"]) for line in lines] == [(f"spoon {n}", side) for n in range(2) for side in "AB"]
    key = json.loads((tmp_path / "out" / "key.json").read_text())
    assert all(sorted(both) == ["other", "this"] for both in key.values())

    unjudged = run("count", tmp_path / "out")
    assert unjudged.returncode == 1 and "judge it first" in unjudged.stderr and "Traceback" not in unjudged.stderr
    for line in lines:
        line["kept"] = "yes" if key[line["name"]]["AB".index(line["side"])] == "this" else "no"
    judged.write_text("".join(json.dumps(line) + "\n" for line in lines))
    counts = json.loads(run("count", tmp_path / "out").stdout)
    assert counts == {"this": {"yes": 2, "maybe": 0, "no": 0}, "other": {"yes": 0, "maybe": 0, "no": 2}}
