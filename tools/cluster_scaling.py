"""A simulated cluster: how the pool of `batch --cluster` scales to 64 workers that sleep in place of editing.

Every worker is an actor of Ray in a process of its own, on one machine, with Ray configured for 64 CPUs. A task carries
a photo's bytes there and a picture's bytes back, and sleeps; the worker measures how long it really slept.

python tools/cluster_scaling.py -o benchmarks/results/cluster_scaling.json --plot docs/images/cluster_scaling.png
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgedrag.benchmarks.report import write_report
from edgedrag.runtime.cluster.pool import AUTO, Pool
from edgedrag.runtime.system.processor import cpu_name


def sleeping() -> type:
    """A worker's class; made in a function, so that it goes to other processes by value."""

    class Sleeping:
        """Sleeps as long as a task says, and gives who it was, how long it slept, and a picture."""

        def run(self, task: tuple[float, bytes, int]) -> tuple[int, float, bytes]:
            seconds, _, size = task
            begun = time.perf_counter()
            time.sleep(seconds)
            return os.getpid(), time.perf_counter() - begun, bytes(size)

    return Sleeping


def run_width(pool: Pool, workers: int, each: int, task: tuple[float, bytes, int]) -> dict[str, Any]:
    """Tasks until every worker has made `each` on average, counted from when all workers have made one.

    Workers start with their first task, which takes seconds here: that is not what is measured.
    """
    taken, started = 0, threading.Event()
    left = [workers * each]

    def tasks() -> Iterator[tuple[str, Any]]:
        nonlocal taken
        while not started.is_set() or left[0] > 0:
            taken += 1
            yield str(taken), task

    seen: set[int] = set()
    done, most, slept, begun, counted, last = 0, 0, 0.0, 0.0, 0, 0.0
    for _, (process, seconds, _) in pool.run(tasks(), workers):
        done += 1
        most = max(most, taken - done)
        seen.add(process)
        if started.is_set():
            left[0] -= 1
            if left[0] >= 0:
                counted, slept, last = counted + 1, slept + seconds, time.perf_counter()
        elif len(seen) == workers:
            started.set()
            begun = time.perf_counter()
    wall = last - begun
    return {
        "workers": workers,
        "tasks": counted,
        "tasks_per_second": round(counted / wall, 3),
        "mean_sleep_s": round(slept / counted, 4),
        "efficiency": round(slept / (workers * wall), 4),
        "most_in_memory": most,
    }


def measure(widths: list[int], each: int, task: tuple[float, bytes, int]) -> Iterator[dict[str, Any]]:
    """The figures of each width, as they are there."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": max(widths), "include_dashboard": False})
    os.environ["RAY_ADDRESS"] = cluster.address
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        with Pool(AUTO, sleeping()) as pool:
            for workers in widths:
                yield run_width(pool, workers, each, task)
    finally:
        cluster.shutdown()


def draw(curve: list[dict[str, Any]], file: Path) -> None:
    """Tasks a second against workers, beside what no loss at all would be."""
    import matplotlib.pyplot as plt

    workers = [row["workers"] for row in curve]
    ideal = [row["workers"] / row["mean_sleep_s"] for row in curve]
    figure, axes = plt.subplots(figsize=(6, 4), dpi=120, layout="constrained")
    axes.plot(workers, ideal, "--", color="0.6", label="workers / measured sleep")
    axes.plot(workers, [row["tasks_per_second"] for row in curve], "o-", label="measured")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(workers, [str(each) for each in workers])
    axes.set(xlabel="workers (sleeping)", ylabel="tasks a second", title="The pool of batch --cluster")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()
    figure.savefig(file)


@click.command()
@click.option("--widths", default="1,2,4,8,16,32,64", show_default=True)
@click.option("--each", default=10, show_default=True, help="Tasks of each worker.")
@click.option("--sleep", "seconds", default=1.0, show_default=True, help="Of a task.")
@click.option("--photo-kb", default=300, show_default=True)
@click.option("--picture-kb", default=600, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path))
def main(
    widths: str, each: int, seconds: float, photo_kb: int, picture_kb: int, output: Path | None, plot: Path | None
) -> None:
    """Print and draw the curve."""
    curve: list[dict[str, Any]] = []
    report = {
        "processor": cpu_name(), "cpus": os.cpu_count(), "load_average_at_start": round(os.getloadavg()[0], 1),
        "photo_kb": photo_kb, "picture_kb": picture_kb, "curve": curve,
    }  # fmt: skip
    task = (seconds, bytes(photo_kb << 10), picture_kb << 10)
    for row in measure([int(width) for width in widths.split(",")], each, task):
        curve.append({**row, "load_average": round(os.getloadavg()[0], 1)})
        click.echo(str(curve[-1]), err=True)
        write_report(report, output)
        if plot is not None:
            draw(curve, plot)


if __name__ == "__main__":
    main()
