"""Makes benchmarks/latency/pointer_trace.json: synthetic pointer gestures at 60 events per second.

python tools/pointer_tracks.py

Gestures follow the minimum-jerk law (Flash and Hogan, 1985) with durations by Fitts's law, a corrected overshoot,
tremor, and the jitter of a browser's events. No person's hand was recorded.
"""

from __future__ import annotations

import json

import click
import numpy as np

from edgedrag.benchmarks.latency.scene import TRACE

GESTURES = 8
EVENT = 1000 / 60  # milliseconds between events
REACHES = (0.15, 0.5)  # shortest and longest reach, mask radii
TREMOR = 0.004  # standard deviation, mask radii
HOLD = 120.0  # milliseconds from the press to the first movement, and from the last one to the release


def gesture(rng: np.random.Generator) -> list[list[float]]:
    """A press, movements and a release as [milliseconds, x, y], in mask radii from the mask's centre."""
    reach, angle = rng.uniform(*REACHES), rng.uniform(0, 2 * np.pi)
    start = rng.uniform(-0.1, 0.1, 2)
    lasts = 250 + 180 * np.log2(reach / 0.08 + 1)  # Fitts's law
    direction = np.array([np.cos(angle), np.sin(angle)])
    events = [[0.0, *start]]
    at = HOLD
    while at < HOLD + lasts:
        t = (at - HOLD) / lasts
        way = 10 * t**3 - 15 * t**4 + 6 * t**5  # minimum jerk
        overshoot = 0.06 * np.sin(np.pi * np.clip((t - 0.6) / 0.4, 0, 1))
        events.append([at, *(start + direction * reach * (way + overshoot) + rng.normal(0, TREMOR, 2))])
        at += EVENT + rng.uniform(-1.5, 1.5)
    events.append([at + HOLD, *(start + direction * reach)])
    return [[round(float(v), 4) for v in event] for event in events]


@click.command()
def main() -> None:
    """Write benchmarks/latency/pointer_trace.json."""
    rng = np.random.default_rng(7)
    trace = {
        "source": "made by tools/pointer_tracks.py",
        "units": "milliseconds, then x and y in mask radii from the mask's centre",
        "gestures": [gesture(rng) for _ in range(GESTURES)],
    }
    TRACE.write_text(json.dumps(trace, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
