"""What a cluster costs a batch: the same jobs by one process and by Ray's workers on the same cores, taking turns.

python tools/cluster_overhead.py --jobs 60 --rounds 3 -o benchmarks/results/cluster_overhead.json
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
from cluster_runs import ended, hashes, rate, start, write_jobs

from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.system.processor import cpu_name

ONE, CLUSTER = "one process", "cluster"


def run_once(jobs: Path, out: Path, cluster: bool) -> dict[str, float]:
    """Results a second from the first to the last one, and the seconds of the whole command."""
    begun = time.perf_counter()
    ended(start(jobs, out, cluster))
    return {"drags_per_second": round(rate(out), 3), "command_s": round(time.perf_counter() - begun, 2)}


def measure(root: Path, count: int, rounds: int) -> dict[str, Any]:
    """Both, in turns; the order changes from round to round, so that a drift of the machine cancels."""
    jobs = root / "jobs.jsonl"
    write_jobs(jobs, count)
    runs: dict[str, list[dict[str, float]]] = {ONE: [], CLUSTER: []}
    for number in range(rounds):
        for kind in (ONE, CLUSTER) if number % 2 == 0 else (CLUSTER, ONE):
            runs[kind].append(run_once(jobs, root / f"{kind}{number}", kind == CLUSTER))
            click.echo(f"round {number + 1}, {kind}: {runs[kind][-1]}", err=True)
    rates = {kind: median(run["drags_per_second"] for run in made) for kind, made in runs.items()}
    return {
        "jobs": count,
        "equal": hashes(root / f"{ONE}0") == hashes(root / f"{CLUSTER}0"),
        "runs": runs,
        "drags_per_second": rates,
        "overhead": round(1 - rates[CLUSTER] / rates[ONE], 4),
        "extra_s_of_a_command": round(
            median(run["command_s"] for run in runs[CLUSTER]) - median(run["command_s"] for run in runs[ONE]), 2
        ),
    }


@click.command()
@click.option("--jobs", default=60, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(jobs: int, rounds: int, output: Path | None) -> None:
    """Print the rates, and the overhead: 0.1 means that the cluster makes a tenth fewer drags a second."""
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), jobs, rounds)
    report = {"processor": cpu_name(), "cpus": os.cpu_count(), "load_average_at_start": load, **found}
    click.echo(f"{report['drags_per_second']} drags a second: overhead {report['overhead']:+.1%}")
    write_report(report, output)


if __name__ == "__main__":
    main()
