"""The studio's page at four sizes, to be looked at: `python tools/page_screens.py -o FOLDER --language en`.

Writes a sheet of all sizes for each language, light and dark, and each state of a visit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from PIL import Image

from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.files import scratch_folder

COFFEE = Path(__file__).parents[1] / "examples" / "coffee.png"
PHOTO = (600, 400)
SIZES = {"phone": (390, 844), "phone on its side": (844, 390), "tablet": (1180, 820), "1080p": (1920, 1080)}
SCHEMES = ("dark", "light")
SPOON, AWAY = (365, 285), (378, 303)
FAR = (300, 150), (420, 350)  # a pull that ends badly
GAP = 12
# On a sheet: left, top, width; larger screens are made smaller.
PLACES = {"phone": (0, 0, 380), "phone on its side": (392, 0, 711), "tablet": (392, 341, 689), "1080p": (0, 832, 1103)}


def states(visitor: Visitor) -> Iterator[str]:
    """Bring the page into each state, and name it; the page is left as it is until the next is asked for."""
    page = visitor.page
    yield "first"
    page.click("#attract .language")
    yield "languages"
    page.keyboard.press("Escape")
    visitor.open(COFFEE, *PHOTO)
    yield "opened"
    visitor.pull(SPOON, AWAY, let_go=False)
    yield "pulled"
    visitor.forget_result()
    visitor.touch("touchEnd")
    visitor.shown()
    page.wait_for_selector("#choices button:nth-child(2)")
    page.wait_for_timeout(1500)
    yield "answers"
    visitor.edit(*FAR)
    page.wait_for_selector("#choices button:nth-child(2)")
    page.wait_for_timeout(1500)
    yield "bad"
    page.click("#tool-brush")
    yield "brush"
    page.click("#tool-shape")
    yield "shape"
    page.click("#save")
    yield "saving"
    page.keyboard.press("Escape")
    page.click("#leave")
    yield "finishing"
    page.keyboard.press("Escape")
    visitor.context.set_offline(True)
    page.wait_for_selector("#link")
    yield "no connection"
    visitor.context.set_offline(False)
    page.wait_for_selector("#link", state="hidden")


def sheet(visitor: Visitor, folder: Path) -> Image.Image:
    """The page as it is at each size: those of hands above, those of stands below."""
    made = Image.new("RGB", (PLACES["1080p"][0] + PLACES["1080p"][2], 820 + GAP + 620), (128, 0, 128))
    for name, (width, height) in SIZES.items():
        visitor.page.set_viewport_size({"width": width, "height": height})
        visitor.settle()
        visitor.page.wait_for_timeout(250)
        visitor.page.screenshot(path=folder / "screen.png")
        left, top, wide = PLACES[name]
        with Image.open(folder / "screen.png") as screen:
            made.paste(screen.convert("RGB").resize((wide, round(height * wide / width))), (left, top))
    return made


@click.command()
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--language", "languages", multiple=True, default=("en", "ja"), show_default=True)
def main(folder: Path, languages: tuple[str, ...]) -> None:
    """Write LANGUAGE_SCHEME_STATE.png for every state of a visit."""
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder() as scratch, Kiosk(scratch / "state") as kiosk, browser() as running:
        for language in languages:
            for scheme in SCHEMES:
                visitor = Visitor(running, kiosk.url, SIZES["tablet"], language)
                visitor.page.emulate_media(color_scheme=scheme)
                for state in states(visitor):
                    made = sheet(visitor, scratch)
                    made.save(folder / f"{language}_{scheme}_{state.replace(' ', '_')}.png")
                    visitor.page.set_viewport_size(dict(zip(("width", "height"), SIZES["tablet"])))
                    visitor.settle()
                visitor.context.close()


if __name__ == "__main__":
    main()
