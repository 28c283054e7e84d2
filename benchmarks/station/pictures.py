"""Screenshots of the station: `python -m edgedrag.benchmarks.station.pictures PHOTO -o FOLDER`.

The screenshots in README and docs/studio.md are of examples/coffee.png.
"""

from __future__ import annotations

from pathlib import Path

import click

from edgedrag.benchmarks.station.browser import KIOSK, PHONE, Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.files import check_folder, scratch_folder
from edgedrag.runtime.photo.picture import Picture, load_picture, save_picture

HANDLE, TARGET = (0.61, 0.71), (0.643, 0.77)  # of the photo's width and height
PUSH = (0.6, 0.375), (0.69, 0.445)
BRUSH = "45"  # screen pixels


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True)
def main(photo: Path, folder: Path) -> None:
    """Write studio.jpg, studio_phone.jpg and studio_ja.jpg, screenshots of a pull on PHOTO, and studio_brush.jpg."""
    check_folder(folder)
    height, width = load_picture(photo).pixels.shape[:2]
    screens = (("studio", KIOSK, "en"), ("studio_phone", PHONE, "en"), ("studio_ja", KIOSK, "ja"))
    with scratch_folder() as state, Kiosk(state) as kiosk, browser() as running:
        for name, size, language in (*screens, ("studio_brush", KIOSK, "en")):
            visitor = Visitor(running, kiosk.url, size, language)
            visitor.open(photo, width, height)
            start, end = HANDLE, TARGET
            if name == "studio_brush":
                visitor.page.click("#tool-shape")
                visitor.page.fill("#brush-size", BRUSH)
                start, end = PUSH
            visitor.pull((start[0] * width, start[1] * height), (end[0] * width, end[1] * height), let_go=False)
            visitor.page.wait_for_timeout(500)  # the last preview
            file = state / f"{name}.png"
            visitor.page.screenshot(path=file)
            save_picture(folder / f"{name}.jpg", Picture(load_picture(file).pixels[..., :3]))
            visitor.context.close()


if __name__ == "__main__":
    main()
