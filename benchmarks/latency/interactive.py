"""Interactive scenario: time to the first preview, and from the release to the result, with a moving pointer.

Stored gestures are replayed in real time. Each preview is of the newest position; positions that arrive during a
preview are skipped, as an interactive program would do. Each gesture is on a newly loaded photo.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from edgedrag.benchmarks.latency.scene import Size, read_tracks
from edgedrag.benchmarks.latency.series import figures
from edgedrag.benchmarks.latency.single_stream import Asker, Bench, Cell

PROCESSES = 3
KINDS = {"first_preview": "first_preview_ms", "result": "result_ms", "behind": "behind_ms"}


@dataclass
class GestureTimes:
    """Milliseconds by kind and window, and the number of gestures that ended before their first preview."""

    windows: dict[str, list[list[float]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    previews: list[int] = field(default_factory=list)
    without_preview: int = 0


def run(bench: Bench, sizes: tuple[Size, ...], seconds: float, gestures: dict[Cell, GestureTimes]) -> None:
    """Add cold starts to `bench.measured` and times to `gestures`; `seconds` is for each cell."""
    for process in range(PROCESSES):
        with bench.open_subject(sizes) as subject:
            for cell in bench.cells(sizes):
                bench.say(f"window {process + 1} of {PROCESSES}: {cell.size}, {cell.steps} step(s)")
                Asker(subject, cell, bench.folder).warm_up()
                tracks, seen = read_tracks(cell.size), gestures.setdefault(cell, GestureTimes())
                for kind in KINDS:
                    seen.windows[kind].append([])
                end, number = time.perf_counter() + seconds / PROCESSES, 0
                while number == 0 or time.perf_counter() < end:
                    track = tracks[number % len(tracks)]
                    place = {"scene": str(cell.size), "number": number, "steps": cell.steps}
                    for answer in subject.ask("gesture", track=track, **place):
                        add(seen, answer)
                    number += 1


def add(seen: GestureTimes, answer: dict[str, Any]) -> None:
    """Add the times of one gesture."""
    seen.windows["result"][-1].append(answer["result_ms"])
    seen.windows["behind"][-1] += answer["behind_ms"]
    seen.previews.append(len(answer["behind_ms"]))
    if answer["first_preview_ms"] is None:
        seen.without_preview += 1
    else:
        seen.windows["first_preview"][-1].append(answer["first_preview_ms"])


def summary(gestures: dict[Cell, GestureTimes]) -> list[dict[str, Any]]:
    """For each cell: time from first movement to preview, from release to result, and the lag of previews."""
    return [
        {
            "size": str(cell.size),
            "mask_width": 2 * cell.size.radius,
            "steps": cell.steps,
            "gestures": len(seen.previews),
            "previews_per_gesture": round(sum(seen.previews) / len(seen.previews), 1) if seen.previews else None,
            "without_preview": seen.without_preview,
            **{kind: figures(windows) for kind, windows in seen.windows.items()},
        }
        for cell, seen in gestures.items()
    ]
