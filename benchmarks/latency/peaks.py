"""Practical peaks of this processor: a large convolution in fp32 and INT8 on ONNX Runtime, and memory copies.

Measured in each window of a run, so that they are subject to the same load as the drags. The planner uses them, since
nominal peaks do not apply to a shared or throttled machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.runtime.system.cpus import default_threads

PROBES = Path(__file__).with_name("probes")
CHANNELS, SIDE = 128, 64  # of the probes' input
FLOPS = 2 * CHANNELS * CHANNELS * 9 * SIDE * SIDE  # of a probe, a 3 x 3 convolution
COPIED = 64 * 2**20  # bytes, more than the caches hold
SECONDS = 0.15  # for each peak


def typical(act: Callable[[], object]) -> float:
    """The median time of a function, seconds."""
    act()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or not times:
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_peaks(threads: int | None = None) -> dict[str, Any]:
    """{"fp32_gflops", "int8_gops", "copy_gb_s"}; the first two are None without ONNX Runtime."""
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    copied = 2 * COPIED / typical(lambda: np.copyto(target, source)) / 1e9  # read and written
    peaks: dict[str, Any] = {"fp32_gflops": None, "int8_gops": None, "copy_gb_s": round(copied, 1)}
    try:
        import onnxruntime as ort
    except ImportError:
        return peaks
    for name, precision, kind in (("fp32_gflops", "fp32", np.float32), ("int8_gops", "int8", np.uint8)):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or default_threads()
        file = PROBES / f"conv.{precision}.onnx"
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        picture = np.full((1, CHANNELS, SIDE, SIDE), 100, kind)
        seconds = typical(lambda session=session, picture=picture: session.run(None, {"x": picture}))  # type: ignore[misc]
        peaks[name] = round(FLOPS / seconds / 1e9, 1)
    return peaks


def middle(measured: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The median of each peak over several measurements; None if there are none."""
    if not measured:
        return None
    columns = {name: [one[name] for one in measured if one[name] is not None] for name in measured[0]}
    return {name: round(statistics.median(values), 1) if values else None for name, values in columns.items()}
