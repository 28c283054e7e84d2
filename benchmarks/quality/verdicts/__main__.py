"""Judged edits, and the verdicts that are fitted on them.

\b
python -m edgedrag.benchmarks.quality.verdicts measure --jobs JOBS.jsonl --dragbench DIR -o TO_JUDGE.jsonl --pages DIR
    makes edits, measures them, and draws numbered pages that do not show their verdicts;
    a person then replaces each "kept": null by "yes", "maybe" or "no", and "wrong" by what is most wrong with those
    that are not kept: torn, edges, ground, bent, stretched, missed or seam
python -m edgedrag.benchmarks.quality.verdicts fit JUDGED.jsonl... -o runtime/drag/verdict.json
    fits the model on such files, and prints how it does on photos that it was not fitted on
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

import edgedrag
from edgedrag.benchmarks.context import git_revision
from edgedrag.benchmarks.quality.edits.measure import EditSets
from edgedrag.benchmarks.quality.edits.sheet import Sheet
from edgedrag.benchmarks.quality.edits.subject import Answer
from edgedrag.benchmarks.quality.edits.tasks import PAIRS, PULLS, EditTask, clip_of, read_lines
from edgedrag.benchmarks.quality.verdicts.fitting import BAD, WRONG, fit_model
from edgedrag.benchmarks.quality.verdicts.spoilt import spoil
from edgedrag.runtime.drag.verdict import as_data
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import write_aside
from edgedrag.runtime.photo.picture import Picture, save_picture

ROWS = 12  # edits on a page
FILE = click.Path(path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.option("--jobs", type=FILE, help="Pairs of frames (JSONL): with masks, and as pulls without.")
@click.option("--dragbench", type=FILE, help="Folder of samples in DragBench's form.")
@click.option("--judged", type=FILE, help="Further drags (JSONL).")
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Only each n-th.")
@click.option("--bundle", default="embedded", show_default=True)
@click.option("--threads", type=int)
@click.option("--pages", type=FILE, required=True, help="Folder for the pages.")
@click.option("-o", "--output", type=FILE, required=True, help="File to write, JSONL.")
def measure(
    jobs: Path | None,
    dragbench: Path | None,
    judged: Path | None,
    every: int,
    bundle: str,
    threads: int | None,
    pages: Path,
    output: Path,
) -> None:
    """Make edits to be judged."""
    runtime = edgedrag.open(bundle, threads=threads)
    pages.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    sheet = Sheet(blind=True)
    for task in tqdm(EditSets(jobs, dragbench, judged, None, every).tasks(), desc="edits", disable=None):
        photo = runtime.load(task.photo)
        try:
            edit = photo.drag(task.drags, task.mask)
        except EdgedragError as error:
            click.echo(f"failed: {task.group} {task.name}: {error}", err=True)
            continue
        rows.append(
            {
                "name": f"{task.group} {task.name}",
                "photo": photo_of(task),
                "drags": len(task.points),
                "masked": task.mask is not None,
                "kept": None,
                "wrong": None,
                "measures": dict(edit.checks.measures),
                "spoilt": rounded(spoil(task.photo, edit, task.points)),
            }
        )
        sheet.add(task, Answer(edit.image[None], edit.mask[None], edit.mask[None], {}), f"{len(rows)}")
        if len(rows) % ROWS == 0:
            sheet = write_page(sheet, pages / f"{len(rows) // ROWS:03}.png")
    write_page(sheet, pages / f"{len(rows) // ROWS + 1:03}.png")
    head = {"edgedrag": edgedrag.__version__, "git_revision": git_revision()}
    write_aside(output, "".join(json.dumps({**row, **head}) + "\n" for row in rows).encode())


def photo_of(task: EditTask) -> str:
    """What must not be split between fitting and testing: the clip, or the photo."""
    if task.group in (PAIRS, PULLS):
        return clip_of(task.name)
    return f"{zlib.crc32(np.ascontiguousarray(task.photo).tobytes()):08x}"


def rounded(spoilt: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {how: {name: round(value, 4) for name, value in values.items()} for how, values in spoilt.items()}


def write_page(sheet: Sheet, file: Path) -> Sheet:
    """Write a page if it has rows; returns an empty one."""
    drawn = sheet.draw()
    if drawn is not None:
        save_picture(file, Picture(drawn))
    return Sheet(blind=True)


@main.command()
@click.argument("judged", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", type=FILE, help="Write the model to this JSON file.")
@click.option("--report", type=FILE, help="Write the figures to this JSON file.")
def fit(judged: tuple[Path, ...], output: Path | None, report: Path | None) -> None:
    """Fit the model of the verdicts on JUDGED edits."""
    judgements = [row for file in judged for row in read_lines(file)]
    unknown = [row.get("name") for row in judgements if row.get("kept") not in BAD]
    if unknown:
        raise InputError(f"{unknown[0]}: `kept` is none of {', '.join(BAD)}; judge it first ({len(unknown)} are not)")
    unknown = [row.get("name") for row in judgements if row.get("wrong") not in (None, *WRONG)]
    if unknown:
        raise InputError(f"{unknown[0]}: `wrong` is none of {', '.join(WRONG)}, nor null")
    model, figures = fit_model(judgements)
    click.echo(json.dumps(figures, indent=1))
    if output is not None:
        write_aside(output, (json.dumps(as_data(model), indent=1) + "\n").encode())
    if report is not None:
        write_aside(report, (json.dumps(figures, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
