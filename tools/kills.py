"""Kills commands at random moments, starts them again, and checks that nothing is half-written or lost.

Made the table on kills in docs/kiosk.md:

    python tools/kills.py -o REPORT.json

A moment is drawn evenly from the time that an undisturbed run takes, with a fixed seed. Runs follow each other in one
folder, so that each starts where the one before was killed; when one ends by itself, the next begins anew.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from kill_cases import CASES, Case
from kill_releases import kill_releases
from kill_station import kill_station

from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.files import ASIDE
from edgedrag.runtime.system.processor import cpu_name

LONGEST_SECONDS = 7200  # a loaded machine takes long over an undisturbed run
STATION, RELEASES = "studio", "releases"
OTHERS = {STATION: kill_station, RELEASES: kill_releases}  # that are more than one command


@dataclass
class Folders:
    """Where a case reads, writes, and what an undisturbed run wrote."""

    inputs: Path
    out: Path
    reference: Path

    def fresh(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()


def start(case: Case, folders: Folders) -> subprocess.Popen[str]:
    arguments = [part.format(inputs=folders.inputs, out=folders.out) for part in case.arguments]
    log = (folders.inputs / "stderr.log").open("w")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "edgedrag", *arguments], stdout=subprocess.PIPE, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip


def finish(process: subprocess.Popen[str], after: float) -> tuple[bool, list[str]]:
    """Let a process run for some seconds, then kill it; whether it ended before, and what it had printed."""
    try:
        said, _ = process.communicate(timeout=after)
        return True, said.splitlines()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return False, said.splitlines()


def leftovers(folder: Path) -> list[str]:
    return [f"{path.name} is left" for path in folder.rglob("*") if path.name.startswith((ASIDE, ".bundle."))]


def run_case(case: Case, kills: int, seed: int, root: Path) -> dict[str, Any]:
    """Kill a command so often; returns the figures and the problems."""
    folders = Folders(root / "inputs", root / "out", root / "reference")
    for folder in (folders.inputs, folders.out):
        folder.mkdir(parents=True)
    case.prepare(folders.inputs)
    begun = time.monotonic()
    undisturbed = start(case, folders)
    finish(undisturbed, LONGEST_SECONDS)
    if undisturbed.returncode:
        raise click.ClickException((folders.inputs / "stderr.log").read_text())
    seconds = time.monotonic() - begun
    shutil.copytree(folders.out, folders.reference)
    folders.fresh()
    moments, killed, complete, problems = random.Random(seed), 0, 0, []
    while killed < kills or list(folders.out.iterdir()):
        process = start(case, folders)
        over, lines = finish(process, moments.uniform(0, seconds) if killed < kills else LONGEST_SECONDS)
        found = case.check(folders.out, folders.reference, lines)
        if over:
            complete += 1
            found += [] if process.returncode == 0 else [(folders.inputs / "stderr.log").read_text()[-500:]]
            found += leftovers(folders.out)
            folders.fresh()
        killed += not over
        problems += [f"after kill {killed}: {problem}" for problem in found]
    return {"kills": killed, "completed": complete, "seconds_undisturbed": round(seconds, 2), "problems": problems}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*CASES, *OTHERS]))
@click.option("--kills", default=50, show_default=True, help="Of each command.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures as JSON.")
def main(names: tuple[str, ...], kills: int, seed: int, output: Path | None) -> None:
    """Kill the commands NAMES, or all."""
    report: dict[str, Any] = {"processor": cpu_name(), "seed": seed, "commands": {}}
    for name in names or (*CASES, *OTHERS):
        with tempfile.TemporaryDirectory() as folder:
            if name in OTHERS:
                report["commands"][name] = OTHERS[name](kills, seed, Path(folder))
            else:
                report["commands"][name] = run_case(CASES[name], kills, seed, Path(folder))
        click.echo(f"{name}: {json.dumps(report['commands'][name])}")
    write_report(report, output)
    sys.exit(any(figures["problems"] for figures in report["commands"].values()))


if __name__ == "__main__":
    main()
