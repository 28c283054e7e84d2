"""INT8 against fp32 on one device, in one run: latency by stage, and the error on real drags.

python -m edgedrag.benchmarks.engines.precision BUNDLE --drags FOLDER --pairs CACHE -o REPORT.json
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.latency.scene import SMALL, disc, test_photo
from edgedrag.benchmarks.quality.methods import FullEdit
from edgedrag.benchmarks.quality.pairs import VIDEO, held_out_tasks, unseen_clips
from edgedrag.benchmarks.quality.tables import mean
from edgedrag.benchmarks.report import write_report
from edgedrag.metrics.drag_sets import Task, find_samples, read_sample
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.options import BackendName
from edgedrag.runtime.session.edit import Edit
from edgedrag.runtime.session.runtime import Runtime, open_runtime

PARTS = (*DRAG_STAGES, "total")


def interleaved(runtimes: dict[str, Runtime], repeats: int) -> dict[str, Any]:
    """Milliseconds by stage of first drags on a 512 x 512 photo, the precisions interleaved, and their ratio.

    Each turn makes two drags and counts the second, so that the precision's weights are in the caches.
    """
    (height, width), radius = SMALL
    image = test_photo(height, width)
    mask, (x, y) = disc(height, width, radius)
    timings: dict[str, list[dict[str, float]]] = {name: [] for name in runtimes}
    for turn in range(repeats + 2):
        for name, runtime in runtimes.items():
            for _ in range(2):
                edit = runtime.load(image).drag([((x, y), (x + radius / 4, y + turn % 5))], mask)
            if turn > 1:  # the first turns warm up
                timings[name].append(edit.timings)
    medians = {
        name: {part: round(statistics.median(t[part] for t in samples), 2) for part in PARTS}
        for name, samples in timings.items()
    }
    ratios = {part: round(medians["fp32"][part] / medians["int8"][part], 2) for part in PARTS}
    return {"n": repeats, "median_ms": medians, "fp32_over_int8": ratios}


def damage(runtimes: dict[str, Runtime], tasks: Sequence[Task], steps: int, stlpips: STLPIPS) -> dict[str, Any]:
    """The error of INT8 edits against fp32, in the mask: means over drags, pooled PSNR of all pixels, worst PSNR."""
    psnr, errors, distances = [], [], []
    for task in tqdm(tasks, desc=f"{steps} step(s)", unit="drag"):
        int8, fp32 = (FullEdit(runtimes[name], steps, 0)(task) for name in ("int8", "fp32"))
        psnr.append(psnr_in_mask(int8.image, fp32.image, fp32.mask))
        errors.append(((int8.image[fp32.mask].astype(np.float64) - fp32.image[fp32.mask]) ** 2).mean(-1))
        distances.append(perceptual_distance(stlpips, int8, fp32))
    return {
        "drags": len(tasks),
        "psnr_db": mean(psnr, 2),
        "pooled_psnr_db": round(float(10 * np.log10(255**2 / np.concatenate(errors).mean())), 2),
        "worst_psnr_db": round(min(psnr), 2),
        "at_least_38_db": sum(p >= 38 for p in psnr),
        "stlpips": mean(distances, 5),
    }


def against_truth(runtimes: dict[str, Runtime], cache: Path, per_clip: int, stlpips: STLPIPS) -> dict[str, Any]:
    """Both precisions against true frames of held-out clips, in the mask: means over pairs."""
    learned_from = runtimes["int8"].bundle.manifest["provenance"].get("training_clips", ())
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in runtimes}
    for task in tqdm(held_out_tasks(unseen_clips(cache, per_clip, learned_from), 0), desc="pairs"):
        if task is None or task.kind != VIDEO:
            continue
        truth = stlpips.features(task.truth)
        for name, runtime in runtimes.items():
            edit = runtime.load(task.photo).drag(task.drags, task.mask)
            inside = np.where(task.mask[..., None], edit.image, task.truth)
            distance = stlpips.in_mask(stlpips.features(inside), truth, task.mask)
            scores[name].append((psnr_in_mask(inside, task.truth, task.mask), distance))
    return {
        name: {
            "pairs": len(values),
            "psnr_db": mean((p for p, _ in values), 3),
            "stlpips": mean((d for _, d in values), 5),
        }
        for name, values in scores.items()
    }


def perceptual_distance(stlpips: STLPIPS, one: Edit, other: Edit) -> float:
    return stlpips.in_mask(stlpips.features(one.image), stlpips.features(other.image), other.mask)


def file_bytes(bundle: Bundle) -> dict[str, int]:
    """Size of the CPU graph files in bytes by precision, and of fp32 at 4 bytes per parameter."""
    sizes = {"fp32_at_4_bytes": sum(4 * graph.cost["parameters"] for _, graph in bundle.graphs())}
    for precision in ("fp32", "int8"):
        files = {
            name
            for _, graph in bundle.graphs()
            for v in graph.variants
            if (v.precision, v.placement) == (precision, "ort")
            for name in (v.file, *dict(v.external))
        }
        sizes[precision] = sum((bundle.folder / name).stat().st_size for name in files)
    return sizes


@click.command()
@click.argument("bundle")
@click.option("--drags", type=click.Path(path_type=Path), required=True, help="Folder of samples in DragBench's form.")
@click.option("--backend", type=click.Choice(["cpu", "openvino"]), default="cpu", show_default=True,
              help="Of INT8; fp32 runs on ONNX Runtime.")  # fmt: skip
@click.option("--pairs", type=click.Path(path_type=Path), help="Folder of mined pairs, for true frames.")
@click.option("--per-clip", default=12, show_default=True, help="Pairs of each clip.")
@click.option("--steps", default="1,2,4,8", show_default=True, help="Step counts to compare the pictures at.")
@click.option("--repeats", default=25, show_default=True, help="Timed drags of each precision.")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    bundle: str,
    drags: Path,
    backend: BackendName,
    pairs: Path | None,
    per_clip: int,
    steps: str,
    repeats: int,
    output: Path | None,
) -> None:
    """Compare INT8 and fp32 of BUNDLE."""
    runtimes = {"fp32": open_runtime(bundle, "cpu", "fp32"), "int8": open_runtime(bundle, backend, "int8")}
    tasks = [read_sample(folder, 100.0) for folder in find_samples(drags).values()]
    stlpips = STLPIPS()
    report = {
        **context(runtimes["int8"]),
        "bytes": file_bytes(runtimes["int8"].bundle),
        "speed": interleaved(runtimes, repeats),
        "by_steps": {count: damage(runtimes, tasks, int(count), stlpips) for count in steps.split(",")},
    }
    if pairs is not None:
        report["against_truth"] = against_truth(runtimes, pairs, per_clip, stlpips)
    write_report(report, output)
    click.echo(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
