"""Writes drags of training clips as a folder in DragBench's format, for `edgedrag bundle calibrate`.

Made the calibration drags of docs/int8.md (229 drags of 46 clips):

python tools/clip_drags.py CACHE -o FOLDER
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.quality.pairs import VIDEO, held_out_tasks, load_clip
from edgedrag.metrics.drag_sets import INSTRUCTION, MASK, PHOTO, Task
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.photo.picture import Picture, save_picture


def farthest(file: Path, each: int) -> list[int]:
    """Indices of a clip's `each` pairs with the largest motion, for every kind of motion."""
    arrays = load_clip(file, ("flow", "mask", "kind"))
    kinds = np.array(arrays["kind"])
    reach = np.array([np.percentile(np.hypot(*flow[mask].T), 95) for flow, mask in zip(arrays["flow"], arrays["mask"])])
    order = np.argsort(-reach, kind="stable")
    return sorted(int(i) for kind in np.unique(kinds) for i in order[kinds[order] == kind][:each])


def write_sample(folder: Path, task: Task) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_picture(folder / PHOTO, Picture(task.photo))
    save_picture(folder / MASK, Picture(task.mask.astype(np.uint8) * 255))
    (folder / INSTRUCTION).write_text(json.dumps({"points": task.points.reshape(-1, 2).tolist()}) + "\n")


@click.command()
@click.argument("cache", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of samples to write.")
@click.option("--each", default=1, show_default=True, help="Pairs of every kind of motion of each clip.")
@click.option("--seed", default=0, show_default=True)
def main(cache: Path, output: Path, each: int, seed: int) -> None:
    """Write drags of the pairs in CACHE/train to a folder."""
    files = sorted((cache / "train").glob("*.npz"))
    files = [
        file for file in files if VIDEO in load_clip(file, ("kind",))["kind"]
    ]  # clips only: pictures have synthetic motion alone
    if not files:
        raise InputError(f"{cache}: no training pairs; make them with `edgedrag learn pairs VIDEOS... -o {cache}`")
    clips = [(file, farthest(file, each)) for file in files]
    written = 0
    for task in tqdm(held_out_tasks(clips, seed), total=sum(len(picked) for _, picked in clips), unit="drag"):
        if task is not None:
            write_sample(output / f"{written:04d}_{task.kind}", task)
            written += 1
    click.echo(f"{written} drags of {len(clips)} clips")


if __name__ == "__main__":
    main()
