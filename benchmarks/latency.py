"""How long a drag takes on this device: first and further ones, a large photo, the whole process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.process import MARK
from edgedrag.runtime.bundle import STAGES
from edgedrag.runtime.drags import Drag
from edgedrag.runtime.image import Picture, save_picture
from edgedrag.runtime.session import Edit, Runtime

SMALL = ((512, 512), 120)  # photo (H, W), mask radius
LARGE = ((3000, 4000), 300)


def test_photo(height: int, width: int) -> np.ndarray:
    """A photo-like picture: smooth shapes and texture at all sizes, uint8 RGB, the same every time."""
    rng = np.random.default_rng(0)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256):
        cell = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(cell, (width, height), interpolation=cv2.INTER_CUBIC) * (40 / cells**0.3)
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def disc(height: int, width: int, radius: int) -> tuple[np.ndarray, tuple[float, float]]:
    """A round mask in the middle, and its centre (x, y)."""
    mask = np.zeros((height, width), np.uint8)
    centre = (width // 2, height // 2)
    cv2.circle(mask, centre, radius, 255, -1)
    return mask, centre


def median(values: list[float]) -> float:
    return round(statistics.median(values), 2)


def drag_figures(edits: list[Edit]) -> dict[str, Any]:
    """Medians over drags, in milliseconds, and the share of time outside the four stages."""
    outside = [1 - sum(e.timings[s] for s in STAGES) / e.timings["total"] for e in edits]
    return {
        "n": len(edits),
        "median_ms": median([e.timings["total"] for e in edits]),
        "worst_ms": round(max(e.timings["total"] for e in edits), 2),
        "stages_ms": {name: median([e.timings[name] for e in edits]) for name in (*STAGES, "composite")},
        "outside_stages_share": round(statistics.median(outside), 4),
    }


def time_drags(
    runtime: Runtime, size: tuple[int, int], radius: int, steps: int | None, seed: int, repeats: int
) -> dict[str, Any]:
    """First drags (a photo just loaded) and next drags (same photo and window, new mask and points)."""
    height, width = size
    image = test_photo(height, width)
    mask, (x, y) = disc(height, width, radius)
    other_mask, _ = disc(height, width, radius - radius // 16)
    reach = radius / 4
    first: list[Edit] = []
    further: list[Edit] = []
    for turn in range(repeats + 1):  # the first turn warms up
        photo = runtime.load(image)
        drags: list[Drag] = [((x, y), (x + reach, y + turn))]
        edit = photo.drag(drags, mask, steps=steps, seed=seed)
        photo.undo()
        next_edit = photo.drag([((x + 3, y), (x, y - reach + turn))], other_mask, steps=steps, seed=seed)
        if turn:
            first.append(edit)
            further.append(next_edit)
    return {
        "width": width,
        "height": height,
        "mask_width": 2 * radius,
        "first_drag": drag_figures(first),
        "next_drag": drag_figures(further),
    }


def time_process(
    runtime: Runtime, size: tuple[int, int], radius: int, steps: int | None, repeats: int = 3
) -> dict[str, Any]:
    """`edgedrag drag` on a file as a whole process, from its start to the written file: seconds and peak memory."""
    height, width = size
    seconds, peaks = [], []
    with tempfile.TemporaryDirectory() as folder:
        photo, mask = Path(folder, "photo.jpg"), Path(folder, "mask.png")
        save_picture(photo, Picture(test_photo(height, width)))
        drawn, (x, y) = disc(height, width, radius)
        save_picture(mask, Picture(drawn))
        command = [sys.executable, "-m", "edgedrag.benchmarks.process", "drag", str(photo)]
        command += ["--drag", f"{x},{y}:{x + radius // 4},{y}", "--mask", str(mask), "-o", str(Path(folder, "out.png"))]
        command += ["--bundle", str(runtime.bundle.folder), "--backend", runtime.backend.name]
        command += ["--precision", runtime.precision] + (["--steps", str(steps)] if steps else [])
        for _ in range(repeats):
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - start)
            peaks.append(float(done.stderr.rsplit(MARK, 1)[1]))
    return {"n": repeats, "median_s": median(seconds), "peak_memory_mb": round(max(peaks), 1)}


def measure(runtime: Runtime, open_ms: float, steps: int | None, seed: int, repeats: int) -> dict[str, Any]:
    """All figures of `edgedrag bench latency`."""
    return {
        **context(runtime),
        "steps": steps or runtime.bundle.sampler["default_steps"],
        "open_ms": round(open_ms, 2),
        "photo_512": time_drags(runtime, *SMALL, steps, seed, repeats),
        "photo_12mp": time_drags(runtime, *LARGE, steps, seed, max(3, repeats // 3)),
        "process_512": time_process(runtime, *SMALL, steps),
        "process_12mp": time_process(runtime, *LARGE, steps),
    }


def describe(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{figures['bundle']} on {figures['backend']} ({figures['device']}, {figures['cpus']} CPUs), "]
    lines[0] += f"{figures['precision']}, {figures['steps']} step(s)"
    for key, what in (("photo_512", "512 x 512"), ("photo_12mp", "12 megapixels")):
        for drag in ("first_drag", "next_drag"):
            part = figures[key][drag]
            stages = ", ".join(f"{name} {ms:.0f}" for name, ms in part["stages_ms"].items())
            lines.append(
                f"{what:<14} {drag.replace('_', ' '):<11} {part['median_ms']:>7.0f} ms   ({stages}; "
                f"outside the stages {part['outside_stages_share']:.1%}; n = {part['n']})"
            )
    for key, what in (("process_512", "512 x 512"), ("process_12mp", "12 megapixels")):
        process = figures[key]
        lines.append(
            f"{what:<14} process     {process['median_s']:>7.2f} s, peak memory {process['peak_memory_mb']:.0f} MB"
        )
    return "\n".join(lines)
