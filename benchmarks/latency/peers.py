"""Peers that are timed in the same run: other ways to run the same networks, and a warp without networks.

All but the warp and the inpainting pipeline use edgedrag's window, compositing and checks, so that a ratio reflects
the engines alone. Those two are what one would run instead.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
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
FP32, OPENVINO, DIFFUSERS = "edgedrag-fp32", "openvino", "diffusers-sd15"
PEERS = {
    FP32: "edgedrag on the same engine in fp32",
    OPENVINO: "edgedrag's graphs on OpenVINO, in the same precision",
    "io-binding": "edgedrag's graphs on ONNX Runtime's own CPU provider with IO binding",
    "unsplit": "the same graphs and engine without the split: the reference is computed for each drag, and every "
    "tensor is copied to the host and back between graphs",
    "torch": "PyTorch eager, the same networks in fp32, but for the hold's",
    "torch-compile": "PyTorch with torch.compile, the same networks in fp32, but for the hold's",
    "classical": "bidirectional warp and OpenCV's inpainting (Telea), no network",
    DIFFUSERS: "diffusers' StableDiffusionInpaintPipeline in PyTorch, fp32, random weights, without guidance",
}
QUICK = (FP32, OPENVINO, "unsplit", "torch", "classical")  # torch.compile needs a minute before its first drag
ALL = tuple(name for name in PEERS if name != DIFFUSERS)  # which takes minutes and 5 GB, and is asked for by its name
NEEDED = {  # packages, and the extra that brings them
    "torch": (("torch", "safetensors"), "export"),
    "torch-compile": (("torch", "safetensors"), "export"),
    DIFFUSERS: (("torch", "diffusers", "transformers"), "export"),
    OPENVINO: (("openvino",), "openvino"),
}
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
            reason = missing(name, opened)
            if reason:
                comparison.absent[name] = reason
                continue
            changed: dict[str, Any] = {FP32: {"precision": "fp32"}, OPENVINO: {"backend": "openvino"}}
            try:
                what = replace(options, **changed.get(name, {}))
                peer = None if name in (OWN, FP32, OPENVINO) else name
                subject = stack.enter_context(Subject(replace(bench.what, options=what, peer=peer), bench.folder))
                asker = Asker(subject, cell, bench.folder)
                asker.warm_up()
                askers[name] = asker
            except EdgedragError as error:
                comparison.absent[name] = str(error).strip().splitlines()[0]
        bench.say("peers: all, interleaved")
        take_turns(askers, "drag", SHARE * seconds, comparison.turns)


def missing(name: str, opened: Mapping[str, Any]) -> str | None:
    """Why a peer cannot be measured beside what was `opened`, as text; None if it can."""
    if name == FP32 and opened["precision"] == "fp32":
        return "edgedrag runs in fp32 here"
    if name == OPENVINO and opened["backend"] == "openvino":
        return "edgedrag runs on it here"
    if name == "io-binding" and opened["backend"] != "cpu":
        return "edgedrag does not run on ONNX Runtime's CPU provider here"
    wanted, extra = NEEDED.get(name, ((), ""))
    absent = [package for package in wanted if importlib.util.find_spec(package) is None]
    return f"{' and '.join(absent)} not installed (extra [{extra}])" if absent else None


def chosen(text: str) -> tuple[str, ...]:
    """Parse a list of names, and of "quick", "all" and "none", which stand for several.

    Raises:
        InputError: an unknown name.
    """
    sets = {"quick": QUICK, "all": ALL, "none": ()}
    names = [name for part in text.split(",") for name in sets.get(part.strip(), (part.strip(),))]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise InputError(f"peers: {unknown[0]!r} is not one of quick, all, none, {', '.join(PEERS)}")
    return tuple(dict.fromkeys(names))
