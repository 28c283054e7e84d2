"""Frames a second of the page's brushes: `python -m edgedrag.benchmarks.station.brushes`; in `bench studio` too."""

from __future__ import annotations

import statistics
import time

import click

from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.benchmarks.station.synthetic import SIZES, photo_file
from edgedrag.runtime.files import scratch_folder

BRUSHES = ("push", "grow", "shrink", "smooth")
STROKES = 3  # of each brush
STEPS = 60  # movements of the finger
RADIUS = 60  # of the brush, screen pixels


def strokes(visitor: Visitor, size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Of strokes over half of a photo, by brush: frames a second while the finger moves (median and least), the longest
    time between two frames, and the median time from release to result."""
    page = visitor.page
    page.click("#tool-shape")
    page.fill("#brush-size", str(RADIUS))
    return {brush: _strokes(visitor, brush, size) for brush in BRUSHES}


def _strokes(visitor: Visitor, brush: str, size: tuple[int, int]) -> dict[str, float]:
    visitor.page.click(f"#tool-{brush}")
    rates, gaps, releases = [], [], []
    for k in range(STROKES):
        y = 0.3 + 0.15 * k
        visitor.forget_frames()
        visitor.forget_result()
        begun = time.monotonic()
        visitor.pull((size[0] * 0.25, size[1] * y), (size[0] * 0.75, size[1] * (y + 0.1)), STEPS, let_go=False)
        rates.append(visitor.frames() / (time.monotonic() - begun))
        gaps.append(visitor.longest_gap())
        visitor.touch("touchEnd")
        visitor.shown()
        releases.append(visitor.release_ms())
    return {
        "frames_per_s": round(statistics.median(rates), 1),
        "frames_per_s_least": round(min(rates), 1),
        "longest_gap_ms": round(max(gaps), 1),
        "release_to_result_ms": round(statistics.median(releases), 1),
    }


def describe_strokes(figures: dict[str, dict[str, float]]) -> list[str]:
    """Lines of text."""
    return [
        f"  {brush:<8} {number(made['frames_per_s'])} frames a second (least {number(made['frames_per_s_least'])}), "
        f"longest gap {number(made['longest_gap_ms'])} ms, "
        f"result {number(made['release_to_result_ms'])} ms after release"
        for brush, made in figures.items()
    ]


@click.command()
@click.option("--throttle", default=1.0, show_default=True, help="The browser's processor, so many times slower.")
def main(throttle: float) -> None:
    """Time each brush on each size of photo."""
    with scratch_folder() as folder, Kiosk(folder / "state") as kiosk, browser() as running:
        for name, size in SIZES.items():
            visitor = Visitor(running, kiosk.url)
            visitor.open(photo_file(folder, size), *size)
            visitor.throttle(throttle)
            click.echo("\n".join([name, *describe_strokes(strokes(visitor, size))]))
            visitor.context.close()


if __name__ == "__main__":
    main()
