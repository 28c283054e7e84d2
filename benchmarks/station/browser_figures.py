"""What a visitor waits for, in a real browser: `python -m edgedrag.benchmarks.station.browser_figures`.

A finger moves by the page's own clock, once for each frame of the screen, so that the driver does not bound the rate.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.report import write_report
from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.measure import SIZES, picture
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.photo.picture import Picture, encode_picture
from edgedrag.runtime.session.runtime import Runtime, open_runtime

PULLS = 6  # for each photo
STARTS = 5  # of the page, in a browser context without a cache
SECONDS = 2.0  # of each pull
PAUSE = 1.5  # seconds after each result, in which a visitor looks at it
REACH = 24  # screen pixels
RESTS = 0.4  # seconds that a finger rests where it goes down
SLOWDOWNS = (1, 4)  # of the browser's processor
# What "What it must show" asks: the figure, its bound, and whether more or less is better.
AIMS = {
    "page_interactive_ms": (1000, "most"),
    "outline_ms": (100, "most"),
    "release_to_result_ms": (300, "most"),
    "preview_frames_per_s": (24, "least"),
    "preview_frames_per_s, processor 4 times slower": (10, "least"),
}
# A finger that is down goes along an ellipse for some seconds, an event for each frame of the screen.
MOVE = """new Promise((done) => {
  const overlay = document.getElementById("overlay"), begun = performance.now();
  const [x, y, reach, length] = %s;
  const step = (now) => {
    const turn = ((now - begun) / 1000) * 5;
    const at = { clientX: x + reach * Math.sin(turn), clientY: y + reach * (1 - Math.cos(turn)) };
    const finger = { pointerId: window.finger, pointerType: "touch", bubbles: true };
    overlay.dispatchEvent(new PointerEvent("pointermove", { ...at, ...finger }));
    if (now - begun < length * 1000) requestAnimationFrame(step);
    else done(performance.now() - begun);
  };
  requestAnimationFrame(step);
})"""
LISTEN = "void addEventListener('pointerdown', (event) => (window.finger = event.pointerId), true)"
OF_A_PULL = ("outline_ms", "preview_frames_per_s", "release_to_result_ms", "release_to_made_ms")
# Start and duration of what an outline waits for, milliseconds, and how much of the answer the station took.
OUTLINE = """["touch to outline", "outline answer"].flatMap((name) => {
  const { startTime, duration, detail } = performance.getEntriesByName(name).at(-1);
  return [startTime, duration, detail];
})"""
OF_AN_OUTLINE = ("touch", "station", "transfer", "draw")
PARTS = ("station", "transfer", "wait", "draw")


def middle(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def start_ms(running: Any, url: str) -> list[float]:
    """From the navigation to a page that can be used, each time without a cache."""
    times = []
    for _ in range(STARTS):
        visitor = Visitor(running, url)
        times.append(visitor.page.evaluate("performance.getEntriesByName('interactive')[0].startTime"))
        visitor.end()
    return times


def outlined(visitor: Visitor) -> dict[str, float]:
    """What the outline under a resting finger was waited for, in milliseconds.

    From the touch until the page asks the station for it, the station, the way there and back, and from its answer
    until the outline is on the screen.
    """
    visitor.page.wait_for_timeout(RESTS * 1e3)  # without the driver's own work beside it
    visitor.measured("touch to outline")
    touched, whole, _, asked, answer, station = visitor.page.evaluate(OUTLINE)
    spent = (asked - touched, station, answer - station, touched + whole - asked - answer)
    return {"outline_ms": whole, **{f"outline {name}": ms for name, ms in zip(OF_AN_OUTLINE, spent)}}


def pulled(visitor: Visitor, start: tuple[float, float]) -> dict[str, list[float]]:
    """One pull from a point of the photo: its figures, and what each of its frames was spent on."""
    visitor.forget_measures()
    visitor.forget_frames()
    at = visitor.at(*start)
    visitor.touch("touchStart", at)
    outline = outlined(visitor)
    seconds = visitor.page.evaluate(MOVE % [at["x"], at["y"], REACH, SECONDS]) / 1e3
    rate = visitor.frames() / seconds
    answers, waits, draws = (
        visitor.page.evaluate(f"performance.getEntriesByName('{name}').map((each) => [each.duration, each.detail])")
        for name in ("preview answer", "preview wait", "preview draw")
    )
    visitor.forget_result()
    visitor.touch("touchEnd")
    visitor.shown()
    return {
        **{name: [ms] for name, ms in outline.items()},
        "preview_frames_per_s": [rate],
        "release_to_result_ms": [visitor.release_ms()],
        "release_to_made_ms": [visitor.measured("release to made")],
        "station": [station for _, station in answers],
        "transfer": [whole - station for whole, station in answers],
        "wait": [whole for whole, _ in waits],
        "draw": [whole for whole, _ in draws],
        "grid": [cells for _, cells in draws],
    }


def pulls(visitor: Visitor, size: tuple[int, int], slowdown: int) -> dict[str, Any]:
    """Pulls on an open photo, the browser's processor so many times slower."""
    visitor.slow_down(slowdown)
    visitor.page.evaluate(LISTEN)
    starts = [(size[0] * (0.3 + 0.06 * number), size[1] * (0.35 + 0.05 * number)) for number in range(PULLS)]
    each = []
    for start in starts:
        each.append(pulled(visitor, start))
        visitor.page.wait_for_timeout(PAUSE * 1e3)
    visitor.slow_down(1)
    found = {name: [value for pull in each for value in pull[name]] for name in each[0]}
    return {
        "pulls": PULLS,
        **{name: middle(found[name]) for name in (*OF_A_PULL, "grid")},
        "outline_parts_ms": {name: middle(found[f"outline {name}"]) for name in OF_AN_OUTLINE},
        "outline_ms_most": round(max(found["outline_ms"]), 1),
        "preview_frames_per_s_least": round(min(found["preview_frames_per_s"]), 1),
        "release_to_result_ms_most": round(max(found["release_to_result_ms"]), 1),
        "frame_ms": {name: middle(found[name]) for name in PARTS},
    }


def measure(runtime: Runtime) -> dict[str, Any]:
    """All figures, by photo and slowdown."""
    report: dict[str, Any] = {**context(runtime), "load_average": round(os.getloadavg()[0], 2)}
    with scratch_folder() as folder, Kiosk(folder / "state") as kiosk, browser() as running:
        report["browser"] = f"Chromium {running.version}, no graphics card, 1280 x 800"
        starts = start_ms(running, kiosk.url)
        report |= {"page_interactive_ms": middle(starts), "page_interactive_ms_most": round(max(starts), 1)}
        for name, size in SIZES.items():
            file = folder / f"{size[0]}.jpg"
            file.write_bytes(encode_picture(file, Picture(picture(size))))
            visitor = Visitor(running, kiosk.url)
            visitor.open(file, *size)
            report[name] = {f"{slowdown}x": pulls(visitor, size, slowdown) for slowdown in SLOWDOWNS}
            visitor.end()
    return report


def table(report: dict[str, Any]) -> str:
    """The figures beside what they have to be, and what a frame's time is spent on; Markdown."""
    rows: list[tuple[str, Any, str, tuple[int, str] | None]] = [
        ("page interactive", report["page_interactive_ms"], "ms", AIMS["page_interactive_ms"])
    ]
    for name in SIZES:
        full, slow = (report[name][f"{slowdown}x"] for slowdown in SLOWDOWNS)
        rows += [
            (f"{key.replace('_ms', '').replace('_', ' ')}, {name}", full[key], unit, AIMS[key])
            for key, unit in (("outline_ms", "ms"), ("preview_frames_per_s", "/s"), ("release_to_result_ms", "ms"))
        ]
        aim = "preview_frames_per_s, processor 4 times slower"
        rows.append(
            (f"preview frames, {name}, processor 4 times slower", slow["preview_frames_per_s"], "/s", AIMS[aim])
        )
        rows.append((f"release to all pixels made and judged, {name}", full["release_to_made_ms"], "ms", None))
    lines = ["| | median | aim | |", "|---|---|---|---|"]
    for label, value, unit, asked in rows:
        beside = " | "
        if asked is not None:
            bound, kind = asked
            met = value <= bound if kind == "most" else value >= bound
            beside = f"at {kind} {bound} | {'met' if met else 'missed'}"
        lines.append(f"| {label} | {value} {unit} | {beside} |")
    lines += ["", "| an outline | touch to request | station | transfer | answer to screen |", "|---|---|---|---|---|"]
    lines += [
        f"| {label} | {' | '.join(spent(of['outline_parts_ms'], OF_AN_OUTLINE))} |" for label, of in conditions(report)
    ]
    lines += ["", "| a preview frame | station | transfer | until the screen's next frame | draw | grid |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {label} | {' | '.join(spent(of['frame_ms'], PARTS))} | {of['grid']} |" for label, of in conditions(report)
    ]
    return "\n".join(lines)


def conditions(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The figures of each photo and slowdown, labelled."""
    return [
        (name + (f", processor {slowdown} times slower" if slowdown > 1 else ""), report[name][f"{slowdown}x"])
        for name in SIZES
        for slowdown in SLOWDOWNS
    ]


def spent(ms: dict[str, float], parts: Sequence[str]) -> list[str]:
    return [f"{ms[part]} ms" for part in parts]


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures as JSON.")
def main(output: Path | None) -> None:
    """Print what a visitor waits for, beside what it has to be."""
    report = measure(open_runtime())
    click.echo(table(report))
    write_report(report, output)


if __name__ == "__main__":
    main()
