"""`bench latency --scenario offline|server`, and `--mlperf` of any: the run and its part of the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.latency.mlperf import loadgen, logs
from edgedrag.benchmarks.latency.mlperf.load import PERCENTILE, Query, Settings, drive
from edgedrag.benchmarks.latency.scene import TURNS, Size
from edgedrag.benchmarks.latency.series import figures
from edgedrag.benchmarks.latency.single_stream import Asker, Bench, Cell
from edgedrag.benchmarks.latency.subject import Subject

RATE_SHARE = 0.6  # of what one drag after the other reaches: the default rate of a server run


@dataclass(frozen=True)
class Asked:
    """What the command asks for.

    Attributes:
        folder: of the logs; None writes none.
        rate: arrivals a second of a server run; None takes RATE_SHARE of what is possible.
        bound_ms: of the latency in a server run.
    """

    folder: Path | None = None
    rate: float | None = None
    bound_ms: float = 250.0


@dataclass
class Loaded:
    """A finished run."""

    cell: Cell
    settings: Settings
    driver: str
    queries: list[Query] = field(default_factory=list)
    logged: dict[str, Any] = field(default_factory=dict)


def run(bench: Bench, scenario: str, size: Size, seconds: float, asked: Asked, done: list[Loaded]) -> None:
    """Add the cold start to `bench.measured` and one run to `done`; uses the first step count."""
    with bench.open_subject((size,)) as subject:
        cell = bench.cells((size,))[0]
        asker = Asker(subject, cell, bench.folder)
        asker.warm_up()
        alone = float(np.median(list(asker.ask("drag", 8))))
        possible = 1e3 / alone
        rate = asked.rate or (RATE_SHARE * possible if scenario == "server" else possible)
        settings = Settings(scenario, seconds, TURNS, rate, asked.bound_ms)
        bench.say(f"{scenario}: {cell.size}, {cell.steps} step(s), {seconds:g} s")
        version = loadgen.installed_version()
        by_loadgen = version is not None and asked.folder is not None
        loaded = Loaded(cell, settings, f"LoadGen {version}" if by_loadgen else "edgedrag")
        done.append(loaded)
        act = Samples(subject, cell)
        if asked.folder is None:
            loaded.queries = drive(settings, act.drag)
            loaded.logged = logs.results(settings, loaded.queries)
            return
        asked.folder.mkdir(exist_ok=True)
        if by_loadgen:
            loaded.queries = loadgen.run(settings, act.drag, act.pixels, asked.folder)
        else:
            answers = {sample: act.pixels(sample) for sample in range(TURNS)}
            loaded.queries = drive(settings, act.drag)
            logs.write(settings, loaded.queries, answers, asked.folder)
        loaded.logged = logs.read_detail(asked.folder / logs.DETAIL)


@dataclass(frozen=True)
class Samples:
    """The drags of a scene as samples."""

    subject: Subject
    cell: Cell

    def drag(self, sample: int) -> None:
        place = {"scene": str(self.cell.size), "first": sample, "count": 1}
        list(self.subject.ask("drags", **place, steps=self.cell.steps, fresh=False))

    def pixels(self, sample: int) -> bytes:
        """The edited pixels inside the mask's box, as a PNG file."""
        (answer,) = self.subject.ask("edited", scene=str(self.cell.size), number=sample, steps=self.cell.steps)
        return bytes.fromhex(answer["png"])


def summary(loaded: Loaded, folder: Path | None) -> dict[str, Any]:
    """The report's part: figures by this side's clock, and those of the log by its own."""
    settings, logged = loaded.settings, loaded.logged
    latencies = [query.ms for query in loaded.queries]
    total = max(query.done for query in loaded.queries) - min(query.arrived for query in loaded.queries)
    ours = figures([latencies])
    compared = {}
    for percentile in (50, PERCENTILE):
        log = logged[f"result_{percentile:.2f}_percentile_latency_ns"] / 1e6
        own = float(np.percentile(latencies, percentile, method="inverted_cdf"))
        compared[f"p{percentile}"] = {"log_ms": round(log, 3), "own_ms": round(own, 3), "ratio": round(log / own, 4)}
    return {
        "scenario": settings.scenario,
        "size": str(loaded.cell.size),
        "steps": loaded.cell.steps,
        "driver": loaded.driver,
        "folder": None if folder is None else str(folder),
        "rate": round(settings.rate, 3),
        "bound_ms": settings.bound_ms if settings.scenario == "server" else None,
        "samples_per_second": round(len(latencies) / total, 3),
        "validity": logged["result_validity"],
        "latency": ours,
        "compared": compared,
    }
