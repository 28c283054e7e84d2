"""A batch on Ray against one process: equal files, a worker killed, the driver killed and started again, and rates.

python tools/cluster_runs.py --jobs 200 -o benchmarks/results/cluster.json
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from kill_cases import EXAMPLES

from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.system.processor import cpu_name

DRAGS = (("coffee", [[[365, 285], [378, 303]]]), ("chelsea", [[[265, 240], [240, 248]]]))
LONGEST_SECONDS = 900
WORKER = b"ray::BatchWorker"


def write_jobs(file: Path, count: int) -> None:
    rows = []
    for number in range(count):
        photo, drags = DRAGS[number % 2]
        row = {"name": f"{number:03}", "image": str(EXAMPLES / f"{photo}.png"), "drags": drags, "seed": number}
        rows.append(json.dumps(row) + "\n")
    file.write_text("".join(rows))


def start(jobs: Path, out: Path, cluster: bool) -> subprocess.Popen[bytes]:
    more = ["--cluster", "auto"] if cluster else []
    command = [sys.executable, "-m", "edgedrag", "batch", str(jobs), "-o", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(out: Path, count: int, process: subprocess.Popen[bytes]) -> float:
    """Until so many results are there; returns the time. Raises AssertionError where the process ends before."""
    begun = time.monotonic()
    while len(written(out)) < count:
        assert process.poll() is None and time.monotonic() - begun < LONGEST_SECONDS, "it ended, or hangs"
        time.sleep(0.02)
    return time.monotonic()


def written(out: Path) -> dict[str, int]:
    """The results that are there, and when each was written, in nanoseconds."""
    return {file.name: file.stat().st_mtime_ns for file in out.glob("*.png")} if out.exists() else {}


def hashes(out: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.glob("*.png"))}


def rate(out: Path) -> float:
    """Results a second, from the first to the last one."""
    times = sorted(written(out).values())
    return (len(times) - 1) / ((times[-1] - times[0]) / 1e9)


def kill_worker(driver: int) -> int:
    """Kill a worker of the cluster that this driver started; its process's number."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(WORKER) and driver in ancestors(int(folder.name)):
                os.kill(int(folder.name), signal.SIGKILL)
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError("no worker runs")


def ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(process)
    return found


def ended(process: subprocess.Popen[bytes]) -> str:
    """The last line of what a process said, which counts the jobs."""
    said = process.communicate(timeout=LONGEST_SECONDS)[1].decode(errors="replace").strip().splitlines()
    assert process.returncode == 0, said[-3:]
    return said[-1]


def measure(root: Path, count: int) -> dict[str, Any]:
    jobs, one, many = root / "jobs.jsonl", root / "one", root / "many"
    write_jobs(jobs, count)
    load = os.getloadavg()[0]
    single = start(jobs, one, cluster=False)
    ended(single)
    driver = start(jobs, many, cluster=True)
    wait_for(many, count // 4, driver)
    kill_worker(driver.pid)
    wait_for(many, count // 2, driver)
    driver.kill()
    driver.wait()
    before = written(many)
    time.sleep(3)
    again = start(jobs, many, cluster=True)
    said = ended(again)
    after = written(many)
    return {
        "jobs": count,
        "equal": hashes(one) == hashes(many),
        "said_after_restart": said,
        "written_before_the_driver_was_killed": len(before),
        "written_twice": sum(after[name] != at for name, at in before.items()),
        "complete": len(after) == count,
        "drags_per_second": {
            "one process": round(rate(one), 3),
            "2 workers, after the restart": round(rate_of(after, set(after) - set(before)), 3),
        },
        "load_average_at_start": round(load, 1),
    }


def rate_of(times: dict[str, int], names: set[str]) -> float:
    chosen = sorted(times[name] for name in names)
    return (len(chosen) - 1) / ((chosen[-1] - chosen[0]) / 1e9)


@click.command()
@click.option("--jobs", default=200, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(jobs: int, output: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = {"processor": cpu_name(), "cpus": os.cpu_count(), **measure(Path(folder), jobs)}
    click.echo(json.dumps(report, indent=1))
    write_report(report, output)


if __name__ == "__main__":
    main()
