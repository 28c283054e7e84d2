"""Showing what moves with a point."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgedrag.commands.family import Command, json_option
from edgedrag.commands.option_groups import option, option_group, option_groups
from edgedrag.commands.options import FILE, Engine, runtime_options
from edgedrag.commands.streams import DASH, check_dashes, piped_outputs, read_inputs
from edgedrag.runtime.options import RuntimeOptions

if TYPE_CHECKING:
    from edgedrag.runtime.hold.hold import Hold


class Point(click.ParamType):
    """ "120,80" as x and y."""

    name = "point"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        try:
            x, y = map(float, str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: write it as X,Y in pixels", param, ctx)
        return x, y


@option_group
class HoldFiles:
    """The mask that bounds a hold, and the pictures of it; `-` is stdin or stdout."""

    mask: Path | None = option("--mask", type=FILE, help="Picture of the photo's size, nonzero = may move; - is stdin.")
    output: Path = option(
        "-o",
        "--output",
        type=FILE,
        required=True,
        help="Grey picture of the photo's size, 255 = moves wholly; - is PNG on stdout.",
    )
    outlines: Path | None = option(
        "--outlines", type=FILE, help="Also write the photo with the outlines of all answers."
    )
    answer: str | None = option(
        "--answer",
        type=click.Choice(["part", "thing", "group", "neighbourhood"]),
        help="The answer to write.  [default: the one that fits best on average]",
    )
    max_megapixels: float = option(
        "--max-megapixels", default=100.0, show_default=True, help="Refuse photos larger than this."
    )


@click.command(cls=Command, extra="cpu")
@click.argument("photo", type=FILE)
@click.option("--at", type=Point(), required=True, metavar="X,Y", help="Pixels of the photo as displayed.")
@option_groups(files=HoldFiles)
@runtime_options
@json_option
def hold(photo: Path, at: tuple[float, float], files: HoldFiles, options: RuntimeOptions, as_json: bool) -> None:
    """Show what moves with a point of PHOTO, wherever it is pulled to. With - as PHOTO it is read from stdin.

    \b
    edgedrag hold cat.jpg --at 120,80 -o held.png --outlines outlines.png
    """
    outputs = (files.output, files.outlines)
    to_stdout = check_dashes(outputs, as_json)
    with piped_outputs(outputs) as (map_file, outlines_file):
        assert map_file is not None
        report = write_hold(photo, at, files, options, (map_file, outlines_file))
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(
        f"{report['output']}  {report['answer']}, {report['hold_ms']:.0f} ms on {report['backend']}", err=to_stdout
    )
    for each in report["alternatives"]:
        click.echo(f"  {each['name']:<13} {each['share']:.1%} of the photo", err=to_stdout)


def write_hold(
    photo: Path,
    at: tuple[float, float],
    files: HoldFiles,
    options: RuntimeOptions,
    outputs: tuple[Path, Path | None],
) -> dict[str, Any]:
    """Find the hold and write its map and, where asked for, the outlines; returns the report."""
    import numpy as np

    from edgedrag.runtime.hold.outlines import draw_outlines
    from edgedrag.runtime.photo.picture import Picture, check_output, save_picture

    map_file, outlines_file = outputs
    for file in outputs:
        if file is not None:
            check_output(file)
    source, bounds = read_inputs(photo, files.mask)
    assert source is not None
    runtime, _ = Engine(options, None, 0, files.max_megapixels).open()
    opened = runtime.load(source, files.max_megapixels)
    start = time.perf_counter()
    found = opened.hold(at, bounds)
    spent_ms = (time.perf_counter() - start) * 1e3
    chosen = next((held for held in found.alternatives if held.name == files.answer), found)
    save_picture(map_file, Picture(np.rint(chosen.on_photo() * 255).astype(np.uint8)))
    if outlines_file is not None:
        save_picture(outlines_file, Picture(draw_outlines(opened.image, found)))
    return {
        "output": "stdout" if files.output == DASH else str(files.output),
        "at": list(at),
        "answer": chosen.name,
        "alternatives": [entry(held, opened.image.shape[0] * opened.image.shape[1]) for held in found.alternatives],
        "hold_ms": round(spent_ms, 2),
        "backend": runtime.backend.name,
        "precision": runtime.precision,
    }


def entry(found: Hold, pixels: int) -> dict[str, Any]:
    """An answer for --json, in a photo of so many pixels; the box is left, top, width, height."""
    rows, columns = found.box
    box = [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]
    return {"name": found.name, "box": box, "share": round(float(found.map.sum()) / pixels, 4)}
