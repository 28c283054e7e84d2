"""Peers that are timed in the same run: other ways to run the same networks, and a warp without networks.

All peers except the warp use edgedrag's window, compositing and checks, so that a ratio reflects the engines alone.
"""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from edgedrag.benchmarks.latency.early_stopping import median
from edgedrag.benchmarks.latency.interleaved import Turns, take_turns, whole_rounds
from edgedrag.benchmarks.latency.ratios import in_turns
from edgedrag.benchmarks.latency.series import pooled
from edgedrag.benchmarks.latency.single_stream import Asker, Bench, Cell
from edgedrag.benchmarks.latency.subject import Subject
from edgedrag.runtime.errors import EdgedragError, InputError

OWN = "edgedrag"
FP32 = "edgedrag-fp32"
PEERS = {
    FP32: "edgedrag on the same engine in fp32",
    "unsplit": "the same graphs and engine without the split: the reference is computed for each drag, and every "
    "tensor is copied to the host and back between graphs",
    "torch": "PyTorch eager, the same networks in fp32, but for the hold's",
    "torch-compile": "PyTorch with torch.compile, the same networks in fp32, but for the hold's",
    "classical": "bidirectional warp and OpenCV's inpainting (Telea), no network",
}
QUICK = (FP32, "unsplit", "torch", "classical")  # torch.compile needs a minute before its first drag
SHARE = 0.4  # time for all peers together, as a share of a cell's time


@dataclass
class PeerComparison:
    """Milliseconds by peer and turn, the peers that could not run with the reasons, and the measured cell."""

    turns: Turns = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    cell: Cell | None = None

    def summary(self) -> dict[str, Any] | None:
        """Medians, and the ratio of each peer's time to edgedrag's; None if no peers were requested."""
        if self.cell is None:
            return None
        turns = whole_rounds(self.turns)
        own = turns.get(OWN, [])
        rows = {}
        for name, taken in turns.items():
            if taken:
                ratio = in_turns(own, taken) if name != OWN else None
                rows[name] = {
                    "what": PEERS.get(name, "as measured above"),
                    "n": len(pooled(taken)),
                    "median_ms": median(pooled(taken)),
                    **(ratio.as_json() if ratio else {}),
                }
        return {"size": str(self.cell.size), "steps": self.cell.steps, "rows": rows, "absent": self.absent}


def run(bench: Bench, names: tuple[str, ...], cell: Cell, seconds: float, comparison: PeerComparison) -> None:
    """Fill `comparison`: interleave edgedrag and its peers on the drags of a cell."""
    if not names:
        return
    comparison.cell = cell
    comparison.absent.update({name: "not requested; use --peers" for name in PEERS if name not in names})
    opened = bench.measured.opened
    options = replace(bench.what.options, precision=opened["precision"], backend=opened["backend"])
    with ExitStack() as stack:
        askers = {}
        for name in (OWN, *names):
            bench.say(f"peers: {name}")
            if name == FP32 and opened["precision"] == "fp32":
                comparison.absent[name] = "edgedrag runs in fp32 here"
                continue
            reason = missing(name)
            if reason:
                comparison.absent[name] = reason
                continue
            own = replace(options, precision="fp32") if name == FP32 else options
            try:
                peer = None if name in (OWN, FP32) else name
                subject = stack.enter_context(Subject(replace(bench.what, options=own, peer=peer), bench.folder))
                asker = Asker(subject, cell, bench.folder)
                asker.warm_up()
                askers[name] = asker
            except EdgedragError as error:
                comparison.absent[name] = str(error).strip().splitlines()[0]
        bench.say("peers: all, interleaved")
        take_turns(askers, "drag", SHARE * seconds, comparison.turns)


def missing(name: str) -> str | None:
    """The missing packages of a peer, as text; None if there are none."""
    wanted = ("torch", "safetensors") if name.startswith("torch") else ()
    absent = [package for package in wanted if importlib.util.find_spec(package) is None]
    return f"{' and '.join(absent)} not installed (extra [export])" if absent else None


def chosen(text: str) -> tuple[str, ...]:
    """Parse "quick", "all", "none" or a list of names.

    Raises:
        InputError: an unknown name.
    """
    sets = {"quick": QUICK, "all": tuple(PEERS), "none": ()}
    if text in sets:
        return sets[text]
    names = tuple(part.strip() for part in text.split(","))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise InputError(f"peers: {unknown[0]!r} is not one of quick, all, none, {', '.join(PEERS)}")
    return names
