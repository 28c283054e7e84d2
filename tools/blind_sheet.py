"""Edits by this edgedrag and by another checkout, as pages to be judged blind: which is which is drawn for each row.

    python tools/blind_sheet.py draw DRAGS.jsonl --source CHECKOUT -o FOLDER
    python tools/blind_sheet.py count FOLDER

DRAGS.jsonl is as for `edgedrag bench quality --judged`. `draw` writes pages of the drag, result A and result B,
`judged.jsonl`, in which a person who does not look into `key.json` replaces each "kept": null by "yes", "maybe" or
"no", and that key. `count` reads both.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from secrets import SystemRandom

import click
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.quality.edits.sheet import Sheet
from edgedrag.benchmarks.quality.edits.subject import Answer, Subject
from edgedrag.benchmarks.quality.edits.tasks import JUDGED, read_job, read_lines
from edgedrag.benchmarks.quality.verdicts.__main__ import write_page
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import scratch_folder, write_aside
from edgedrag.runtime.options import RuntimeOptions

ROWS = 4  # edits on a page
VERSIONS = ("this", "other")
KEPT = ("yes", "maybe", "no")
FILE = click.Path(path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.argument("drags", type=FILE)
@click.option("--source", type=FILE, required=True, help="The other checkout.")
@click.option("-o", "--output", "folder", type=FILE, required=True, help="Folder for pages, judgements and key.")
def draw(drags: Path, source: Path, folder: Path) -> None:
    """Make the edits of DRAGS by both, and pages to judge."""
    folder.mkdir(parents=True, exist_ok=True)
    order, key, sheet = SystemRandom(), dict[str, list[str]](), Sheet(blind=True)
    with scratch_folder() as scratch:
        places = [scratch / version for version in VERSIONS]
        for place in places:
            place.mkdir()
        with Subject(RuntimeOptions(), None, places[0]) as this, Subject(RuntimeOptions(), source, places[1]) as other:
            for job in tqdm(read_lines(drags), desc="drags", disable=None):
                task = read_job(drags, job, {}, JUDGED)
                try:
                    made = [subject.make(task, 1, 0) for subject in (this, other)]
                except EdgedragError as error:
                    click.echo(f"left out: {task.name}: {error}", err=True)
                    continue
                key[task.name] = order.sample(VERSIONS, 2)
                both = [made[VERSIONS.index(version)] for version in key[task.name]]
                images = np.concatenate([each.images[:1] for each in both])
                region = np.logical_or(both[0].masks[:1], both[1].masks[:1])  # of both, so that it tells nothing
                sheet.add(task, Answer(images, region, region, {}), plain_warp=False)
                if len(key) % ROWS == 0:
                    sheet = write_page(sheet, folder / f"{len(key) // ROWS:03}.png")
    write_page(sheet, folder / f"{len(key) // ROWS + 1:03}.png")
    lines = [{"name": name, "side": side, "kept": None} for name in key for side in "AB"]
    write_aside(folder / "judged.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    write_aside(folder / "key.json", json.dumps(key, indent=1).encode())


@main.command()
@click.argument("folder", type=FILE)
def count(folder: Path) -> None:
    """How many edits of each version are kept, as JSON."""
    key = json.loads((folder / "key.json").read_text())
    counts = {version: Counter[str]() for version in VERSIONS}
    for line in read_lines(folder / "judged.jsonl"):
        if line["kept"] not in KEPT:
            raise InputError(f"{line['name']} {line['side']}: `kept` is none of {', '.join(KEPT)}; judge it first")
        counts[key[line["name"]]["AB".index(line["side"])]][line["kept"]] += 1
    click.echo(json.dumps({version: {kept: found[kept] for kept in KEPT} for version, found in counts.items()}))


if __name__ == "__main__":
    try:
        main()
    except EdgedragError as error:
        raise SystemExit(f"error: {error}") from None
