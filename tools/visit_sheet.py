"""Pulls by a finger through the studio's page in Chromium, as a sheet to be judged before the verdicts are looked at.

    python tools/visit_sheet.py tools/visit_pulls.jsonl --photos FOLDER -o SHEET.jpg --verdicts FILE.json

Each line of the list is a pull: `name`, `image`, `drag` (two points of the photo) and `what` is pulled. A tile shows
the photo before, with the pull, and after it, around what changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from edgedrag.benchmarks.station.browser import Visitor, browser
from edgedrag.benchmarks.station.process import Kiosk
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.photo.picture import load_picture

SIDE = 200  # pixels of a tile's picture
COLUMNS = 4
AROUND = 70  # photo pixels shown around the pull, at least
QUALITY = 82


def pulled(visitor: Visitor, photo: Path, drag: list[list[float]], folder: Path) -> tuple[np.ndarray, str]:
    """The photo after a pull by a finger, as the page saves it, and the verdict."""
    height, width = load_picture(photo).pixels.shape[:2]
    visitor.open(photo, width, height)
    start, end = ((x, y) for x, y in drag)
    verdict = visitor.edit(start, end)
    return load_picture(visitor.saved(folder / "saved.png")).pixels[..., :3], verdict


def tile(before: np.ndarray, after: np.ndarray, drag: list[list[float]], name: str) -> np.ndarray:
    """Before with the pull, and after; uint8 RGB [SIDE, 2 SIDE, 3]."""
    points = np.array(drag)
    middle, reach = points.mean(0), max(AROUND, 1.2 * float(np.abs(points[1] - points[0]).max()))
    scale = SIDE / (2 * reach)
    place = np.array([[scale, 0, SIDE / 2 - scale * middle[0]], [0, scale, SIDE / 2 - scale * middle[1]]])
    pair = [
        cv2.warpAffine(np.ascontiguousarray(each), place, (SIDE, SIDE), flags=cv2.INTER_AREA)
        for each in (before, after)
    ]
    handle, target = (tuple(int(v) for v in place @ [*point, 1]) for point in points)
    cv2.arrowedLine(pair[0], handle, target, (255, 176, 32), 2, cv2.LINE_AA, tipLength=0.25)
    cv2.putText(pair[0], name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 2, cv2.LINE_AA)
    cv2.putText(pair[0], name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.hstack(pair)


@click.command()
@click.argument("pulls", type=click.Path(path_type=Path, exists=True))
@click.option("--photos", "folders", type=click.Path(path_type=Path), multiple=True, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option(
    "--verdicts", type=click.Path(path_type=Path), help="Write the station's verdicts here, to be looked at last."
)
def main(pulls: Path, folders: tuple[Path, ...], output: Path, verdicts: Path | None) -> None:
    """Make each of PULLS in the page, and write the sheet."""
    listed: list[dict[str, Any]] = [json.loads(line) for line in pulls.read_text().splitlines()]
    tiles, found = [], {}
    with scratch_folder() as folder, Kiosk(folder / "state") as kiosk, browser() as running:
        for pull in listed:
            photo = next(place / pull["image"] for place in folders if (place / pull["image"]).is_file())
            visitor = Visitor(running, kiosk.url)
            after, found[pull["name"]] = pulled(visitor, photo, pull["drag"], folder)
            visitor.end()
            tiles.append(tile(load_picture(photo).pixels[..., :3], after, pull["drag"], pull["name"]))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(output), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if verdicts is not None:
        verdicts.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
