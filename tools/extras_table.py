"""Writes the table of extras on a Jetson in docs/jetson.md, from uv's resolution of wheels for these systems.

python tools/extras_table.py (with `uv` of the extra [test] installed, and a package index in reach)
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "jetson.md"
BEGIN, END = "<!-- extras: written by python tools/extras_table.py -->", "<!-- extras: end -->"
SHOWN = (
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "cuda-python",
    "numpy",
)  # packages whose versions the table shows


@dataclass(frozen=True)
class System:
    """A JetPack for the resolver: Python version, platform of its Ubuntu, and bindings of its CUDA."""

    name: str
    python: str
    platform: str
    cuda: str


SYSTEMS = (
    System("JetPack 6.2", "3.10", "aarch64-manylinux_2_35", "cuda-python==12.6.*"),
    System("JetPack 7.2", "3.12", "aarch64-manylinux_2_39", "cuda-python==13.2.*"),
)
INSTALLED = "what the page installs"  # the row of [cpu] with CUDA's bindings


class Unreachable(RuntimeError):
    """The package index cannot be reached."""


def extras() -> list[str]:
    """The extras of pyproject.toml, in its order."""
    section = re.search(
        r"^\[project\.optional-dependencies\]\n(.*?)^\[", (ROOT / "pyproject.toml").read_text(), re.S | re.M
    )
    assert section is not None
    return re.findall(r"^(\w+) = \[", section[1], re.M)


def resolve(row: str, system: System, day: str) -> str:
    """A cell: the versions uv would install from packages uploaded before a day, or the package without a wheel.

    Args:
        row: an extra, or `INSTALLED`.

    Raises:
        Unreachable: the package index cannot be reached.
        RuntimeError: uv fails otherwise.
    """
    extra, more = ("cpu", f"{system.cuda}\nfilelock>=3.12\n") if row == INSTALLED else (row, "")
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "-", "--extra", extra]
    command += ["--only-binary", ":all:", "--python-version", system.python, "--python-platform", system.platform]
    command += ["--exclude-newer", f"{day}T00:00:00Z", "--no-header", "--no-annotate", "--quiet"]
    done = subprocess.run(command, input=more, cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode == 0:
        versions = dict(re.findall(r"^([\w-]+)==(\S+)", done.stdout, re.M))
        return "yes: " + ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    if "No solution found" not in done.stderr:
        reached = not re.search(r"error sending request|failed to fetch|connect", done.stderr, re.I)
        raise (RuntimeError if reached else Unreachable)(done.stderr.strip())
    missing = re.search(r"[Bb]ecause (?:all versions of )?([\w-]+)\S* ha(?:s|ve) no", done.stderr)
    if missing is None:
        raise RuntimeError(done.stderr.strip())
    return f"no: {missing[1]} has no wheel"


def table(day: str) -> str:
    """The lines between the markers."""
    rows = [INSTALLED, *extras()]
    with ThreadPoolExecutor(4) as pool:
        cells = list(pool.map(lambda pair: resolve(*pair, day), [(row, system) for row in rows for system in SYSTEMS]))
    lines = [f"Resolved by uv for aarch64, wheels alone, from what was on the package index before {day}:", ""]
    lines += ["| extra | " + " | ".join(f"{s.name}, Python {s.python}" for s in SYSTEMS) + " |", "|---|---|---|"]
    for number, row in enumerate(rows):
        name = "`[cpu]`, cuda-python, filelock" if row == INSTALLED else f"`[{row}]`"
        lines.append(f"| {name} | " + " | ".join(cells[number * len(SYSTEMS) :][: len(SYSTEMS)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Resolve all extras and rewrite the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    PAGE.write_text(f"{before}{BEGIN}\n{table(day)}\n{END}{after}")


if __name__ == "__main__":
    main()
