"""Draws the pictures of docs/architecture.md from its numbered lists: each step a box in the column of its folder.

python tools/architecture_pictures.py -o docs/images

The page is the one source. A step is a line `1. **Title** (`folder/module.py`, ...): ... Gives: what.`; its column is
the layer that its first module lies in, and columns stand in the order of the page's table of layers. The pictures
are SVG text, the same on every machine.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
STEP = re.compile(r"^\d+\. \*\*(?P<title>[^*]+)\*\* \((?P<modules>`[^)]+`)\):(?P<text>.*?)(?=^\d+\. |^$)", re.M | re.S)
PICTURE = re.compile(r"^!\[[^\]]+\]\(images/(?P<name>architecture_\w+\.svg)\)$", re.M)
LAYER = re.compile(r"^\| `([^`]+)/` \|", re.M)

COLUMN, BOX = 160, 150  # widths
LINE, PADDING, GAP = 15, 8, 30  # height of a line of text, space around it, space between boxes
HEAD = 30
TITLE_CHARACTERS = 18
FILL = ("#eef3fa", "#f7f9fc")  # columns by turns
STYLE = """
text { font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 12px; fill: #1c2733 }
.head { font-weight: bold; fill: #44566b }
.title { font-weight: bold }
.module { font-family: "DejaVu Sans Mono", Menlo, monospace; font-size: 10.5px; fill: #44566b }
.passes { font-size: 11px; fill: #8a3b12; paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.box { fill: #ffffff; stroke: #5b7391; stroke-width: 1.2 }
.arrow { fill: none; stroke: #8a3b12; stroke-width: 1.4; marker-end: url(#tip) }
"""


@dataclass(frozen=True)
class Step:
    """A numbered item of the page.

    Attributes:
        modules: paths within the repository, at least one.
        passes: what it gives to the next step; empty for the last.
    """

    number: int
    title: str
    modules: tuple[str, ...]
    passes: str

    def title_lines(self) -> list[str]:
        return textwrap.wrap(f"{self.number}. {self.title}", TITLE_CHARACTERS)

    def module_lines(self, folder: str) -> list[str]:
        """File names, with what stands before them where they do not lie in a folder."""
        names = [PurePosixPath(module) for module in self.modules]
        return [n.name if str(n.parent) == folder else f"{n.parent.name}/{n.name}" for n in names]

    @property
    def height(self) -> int:
        return LINE * (len(self.title_lines()) + len(self.modules)) + 2 * PADDING


def read_steps(section: str) -> list[Step]:
    """The numbered items of a section."""
    steps = []
    for number, found in enumerate(STEP.finditer(section), start=1):
        gives = re.search(r"Gives: (.+?)\.$", " ".join(found["text"].split()))
        steps.append(
            Step(number, found["title"], tuple(re.findall("`([^`]+)`", found["modules"])), gives[1] if gives else "")
        )
    return steps


def read_page(page: str) -> dict[str, list[Step]]:
    """The steps of each picture that the page shows, by file name."""
    sections = re.split(r"^## ", page, flags=re.M)
    found = ((PICTURE.search(section), section) for section in sections)
    return {picture["name"]: read_steps(section) for picture, section in found if picture is not None}


def read_layers(page: str) -> list[str]:
    """The folders of the table of layers, top to bottom; what is above all of them first."""
    return ["src/edgedrag", *LAYER.findall(page)]


def layer_of(module: str, layers: Sequence[str]) -> str:
    """The innermost layer that a module lies in. Raises ValueError where the table of layers names none."""
    found = [layer for layer in layers if module.startswith(layer + "/")]
    if not found:
        raise ValueError(f"{module} lies in no folder of the table of layers in {PAGE.name}")
    return max(found, key=len)


def draw(steps: Sequence[Step], layers: Sequence[str]) -> str:
    """The picture as SVG text; raises ValueError, see `layer_of`."""
    places = [layer_of(step.modules[0], layers) for step in steps]
    folders = sorted(set(places), key=layers.index)
    lefts = {folder: GAP // 2 + COLUMN * n for n, folder in enumerate(folders)}
    tops, y = [], HEAD + PADDING
    for step in steps:
        tops.append(y)
        y += step.height + GAP
    width, height = GAP + COLUMN * len(folders), y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#8a3b12"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, folder in enumerate(folders):
        parts += draw_column(folder, lefts[folder], height, FILL[number % 2])
    centres = [lefts[place] + COLUMN // 2 for place in places]
    for n, step in enumerate(steps[:-1]):
        parts += draw_arrow(centres[n], tops[n] + step.height, centres[n + 1], tops[n + 1], step.passes)
    for step, place, top in zip(steps, places, tops):
        parts += draw_step(step, place, lefts[place] + (COLUMN - BOX) // 2, top)
    return "\n".join([*parts, "</svg>", ""])


def text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def draw_column(folder: str, left: int, height: int, fill: str) -> list[str]:
    """A folder's column with its name on top."""
    ground = f'<rect x="{left}" y="0" width="{COLUMN}" height="{height}" fill="{fill}"/>'
    return [ground, text("head", left + COLUMN / 2, 20, folder + "/", "middle")]


def draw_step(step: Step, folder: str, left: int, top: int) -> list[str]:
    parts = [f'<rect class="box" x="{left}" y="{top}" width="{BOX}" height="{step.height}" rx="5"/>']
    lines = [("title", words) for words in step.title_lines()] + [
        ("module", words) for words in step.module_lines(folder)
    ]
    for number, (kind, words) in enumerate(lines):
        parts.append(text(kind, left + BOX / 2, top + PADDING + LINE * (number + 1) - 4, words, "middle"))
    return parts


def draw_arrow(x: int, y: int, to_x: int, to_y: int, passes: str) -> list[str]:
    """From the bottom of a box to the top of the next, with what is passed written beside it."""
    middle = y + GAP // 3
    path = f"M{x} {y} V{to_y}" if x == to_x else f"M{x} {y} V{middle} H{to_x} V{to_y}"
    label = text("passes", to_x + 7, to_y - 5, passes) if passes else ""
    return [f'<path class="arrow" d="{path}"/>', label]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/architecture.md.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="existing folder for the SVG files")
    folder = parser.parse_args().output
    if not folder.is_dir():
        parser.error(f"{folder}: no such folder; make it first")
    page = PAGE.read_text(encoding="utf-8")
    for name, steps in read_page(page).items():
        (folder / name).write_text(draw(steps, read_layers(page)), encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
