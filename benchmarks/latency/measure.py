"""`edgedrag bench latency`: the report of one bundle on one engine of this device."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgedrag.benchmarks.context import full_context
from edgedrag.benchmarks.latency import interactive, peers, single_stream, sustained
from edgedrag.benchmarks.latency.machine_load import MachineLoad
from edgedrag.benchmarks.latency.mlperf import scenarios
from edgedrag.benchmarks.latency.mlperf.scenarios import Asked, Loaded
from edgedrag.benchmarks.latency.peaks import middle
from edgedrag.benchmarks.latency.scene import Size
from edgedrag.benchmarks.latency.single_stream import Bench, Cell
from edgedrag.benchmarks.latency.subject import Configuration
from edgedrag.runtime.files import scratch_folder

FORMAT, FORMAT_VERSION = "edgedrag-latency", 2


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        steps: step counts; None uses the bundle's default.
        scenario: "single-stream", "interactive", "sustained", "offline" or "server".
        seconds: for each size and step count; `minutes` is for the sustained scenario.
        peers: names of `peers.PEERS` to compare with.
        mlperf: of the scenarios that LoadGen has; single-stream is run in its way where a folder is given.
    """

    what: Configuration
    steps: tuple[int, ...] | None
    sizes: tuple[Size, ...]
    scenario: str
    seconds: float
    minutes: float
    peers: tuple[str, ...]
    mlperf: Asked = Asked()

    @property
    def by_mlperf(self) -> bool:
        """Whether the run is in LoadGen's way."""
        return self.scenario in ("offline", "server") or self.mlperf.folder is not None


def measure(request: Request, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure and return the report; after an interrupt it has the samples so far and `complete` is false.

    Args:
        say: called with progress messages.
    """
    gestures: dict[Cell, interactive.GestureTimes] = {}
    courses: list[sustained.Course] = []
    loaded: list[Loaded] = []
    comparison = peers.PeerComparison()
    complete, machine = False, MachineLoad()
    sizes = request.sizes

    def progress(text: str) -> None:
        machine.sample()
        say(text)

    with scratch_folder() as folder:
        bench = Bench(request.what, request.steps, folder, progress)
        card, measured = bench.card, bench.measured
        try:
            if request.by_mlperf:
                scenarios.run(bench, request.scenario, sizes[0], request.seconds, request.mlperf, loaded)
            elif request.scenario == "interactive":
                interactive.run(bench, sizes, request.seconds, gestures)
            elif request.scenario == "sustained":
                sustained.run(bench, sizes[0], request.minutes, courses)
            else:
                single_stream.run(bench, sizes, request.seconds)
                peers.run(bench, request.peers, bench.cells(sizes)[0], request.seconds, comparison)
            complete = True
        except KeyboardInterrupt:
            say("interrupted; the report has the samples so far")
    report: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "complete": complete,
        "scenario": request.scenario,
        "seconds": request.minutes * 60 if request.scenario == "sustained" else request.seconds,
        "machine": machine.summary(),
        "context": full_context(measured.opened, card) if measured.opened else None,
        **single_stream.summary(measured),
    }
    if request.by_mlperf:
        report["mlperf"] = [scenarios.summary(run, request.mlperf.folder) for run in loaded if run.logged]
    elif request.scenario == "interactive":
        report["interactive"] = interactive.summary(gestures)
    elif request.scenario == "sustained":
        report["sustained"] = [sustained.summary(course) for course in courses if course.shown]
    else:
        report["peaks"] = middle(measured.peaks)
        report["peers"] = comparison.summary()
    report["command"] = {"python": platform.python_version(), "arguments": sys.argv[1:]}
    return report
