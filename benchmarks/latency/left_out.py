"""How far the planner's predictions err: every measured point of the repository, predicted from the others.

A drag is predicted from its graphs, each of which is predicted without its own times, and from the time outside the
graphs in the other reports; a published point, and the measured GPU, from those of the other GPUs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.latency.efficiency import Calibration, LeftOut, efficiencies, read_times
from edgedrag.benchmarks.latency.work import counted

HERE = Path(__file__).parent
LIGHTNINGDRAG = "lightningdrag-sd15"


def read_points() -> list[dict[str, Any]]:
    """Published times of networks on GPUs."""
    return json.loads((HERE / "points.json").read_text())["points"]


def reached(point: dict[str, Any]) -> float:
    """The share of the peak that a published time reaches."""
    return point["tflop"] / (point["ms"] / 1e3) / point["tops"]


@cache
def unmeasured_gpus() -> tuple[float, Calibration]:
    """The share of the peak that arithmetic reaches on a GPU that was not measured, and how far that errs."""
    shares = [(p["device"], p["what"], p["source"], p["ms"], reached(p)) for p in read_points() if p["fitted"]]
    rows = [row for row in read_times()["graphs"] if row["network"] == LIGHTNINGDRAG]
    works = [counted(LIGHTNINGDRAG, row["graph"], row["pixels"][0]) for row in rows]
    flops = sum(float(work[0] + work[1]) for work in works if work is not None)
    ms, measured = round(sum(row["ms"] for row in rows), 2), rows[0]
    share = flops / ms / measured["peaks"]["arithmetic"] / 1e6
    what = "LightningDrag's graphs, 512, fp16, ONNX Runtime CUDA"
    shares.append((measured["device"], what, measured["source"], ms, share))
    points = []
    for device, what, source, ms, share in shares:
        others = [math.log(other) for other_device, *_, other in shares if other_device != device]
        predicted = ms * share / math.exp(sum(others) / len(others))
        points.append(LeftOut(f"{what}, {device}", device, source, ms, predicted))
    mean = math.exp(sum(math.log(share) for *_, share in shares) / len(shares))
    return mean, Calibration("a GPU that was not measured", tuple(points))


def host_ms(network: str, version: str, megapixels: float, but: str | None = None) -> float | None:
    """The time outside the graphs, as in measured drags of the network's major version; None if there are none.

    Args:
        but: a source to leave out.
    """
    major = version.split(".")[0]
    rows = [
        row for row in read_times()["drags"]
        if row["network"] == network and row["version"].split(".")[0] == major and row["source"] != but
    ]  # fmt: skip
    if not rows:
        return None
    sizes = np.array([[1.0, row["megapixels"]] for row in rows])
    times = np.array([row["outside_ms"] for row in rows])
    line = np.linalg.lstsq(sizes / times[:, None], np.ones(len(rows)), rcond=None)[0]  # of relative errors
    return float(line @ [1.0, megapixels])


def _others_host_ms(row: dict[str, Any]) -> float | None:
    """The time outside the graphs of a drag, from other reports: of its network's version, else of any on its class."""
    own = host_ms(row["network"], row["version"], row["megapixels"], but=row["source"])
    if own is not None:
        return own
    others = [
        other["outside_ms"] for other in read_times()["drags"]
        if other["class"] == row["class"] and other["source"] != row["source"]
        and other["megapixels"] == row["megapixels"]
    ]  # fmt: skip
    return float(np.median(others)) if others else None


@cache
def drags() -> Calibration:
    """How far whole drags on measured engines and classes of device are predicted."""
    points = []
    for row in read_times()["drags"]:
        key = row["engine"], row["class"]
        times: dict[str, list[float]] = {}
        for point in efficiencies()[key].calibration.points:
            times.setdefault(point.what, []).append(point.predicted)
        graphs = [
            runs * float(np.median(times[f"{row['network']}: {graph}, {row['precision']}"]))
            for graph, runs in row["runs"].items()
        ]
        host = _others_host_ms(row)
        if host is None:
            continue
        side = round(math.sqrt(row["megapixels"] * 1e6))
        size = "512x512" if side == 512 else f"{row['megapixels']:.0f} MP"
        kind = "first drag" if row["first"] else "drag"
        how = f"{row['precision']}, {size}, {row['steps']} step(s), {kind}, {key[0]}"
        what = f"{row['network']} {row['version']}, {how}"
        points.append(LeftOut(what, row["source"], row["source"], row["ms"], sum(graphs) + host))
    return Calibration("whole drags on measured engines and devices", tuple(points))


def calibrations() -> Iterable[Calibration]:
    """All of them: graphs by engine and class of device, whole drags, and GPUs that were not measured."""
    yield from (efficiency.calibration for efficiency in efficiencies().values())
    yield drags()
    yield unmeasured_gpus()[1]


def left_out_rows() -> list[dict[str, Any]]:
    """Every point: what others predict for it, and whether their interval holds it."""
    return [
        {
            "kind": "left out", "what": point.what, "device": found.title, "source": point.source,
            "predicted_ms": round(point.predicted, 3), "measured_ms": point.measured,
            "error": round(math.expm1(point.error), 3), "covered": found.covered(point),
        }
        for found in calibrations() for point in found.points
    ]  # fmt: skip
