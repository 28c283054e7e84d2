"""The distribution of the measures in `runtime/drag/checks.py` over true and failed edits, to set their thresholds.

python -m edgedrag.benchmarks.quality.thresholds CACHE -o REPORT.json

Uses pairs of training clips only. True edits are real frames. Failed edits are the unedited photo (the content does
not arrive), the content pasted at the target with a hard edge (a seam), the true frame blurred with a sigma of 1.5
pixels, and the region moved by half its size with its edge fixed (torn).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click
import cv2
import numpy as np

from edgedrag.benchmarks.formatting import number
from edgedrag.benchmarks.quality.pairs import VIDEO, evenly, grown, load_clip
from edgedrag.generator.data.pairs import draggable, sample_points
from edgedrag.generator.data.prior_flow import prior_flow
from edgedrag.runtime.drag.checks import apart, check, detail, landing_errors, seam, torn
from edgedrag.runtime.drag.composite import Generated
from edgedrag.runtime.drag.flow import warp
from edgedrag.runtime.files import write_aside

QUANTILES = (1, 2, 5, 20, 25, 50, 75, 90, 95, 99)


def pasted(source: np.ndarray, mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The masked region shifted by the first drag, without blending."""
    shift = np.broadcast_to((points[0, :2] - points[0, 2:]).astype(np.float32), (*mask.shape, 2))
    return np.where(mask[..., None], warp(source, shift), source)


def pulled(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The flow that moves the masked region by half its size along the first drag, with its edge fixed."""
    way = points[:1, 2:] - points[:1, :2]
    way *= 0.5 * np.sqrt(mask.sum()) / np.hypot(*way.T)
    return prior_flow(np.hstack([points[:1, 2:] - way, points[:1, 2:]]).astype(np.float32), mask)


def edits(
    source: np.ndarray, target: np.ndarray, flow: np.ndarray, valid: np.ndarray, mask: np.ndarray, points: np.ndarray
) -> dict[str, tuple[np.ndarray, Generated]]:
    """The true edit of a pair and four failed ones, each with its motion."""
    inside = mask[..., None]
    true = Generated(None, flow * inside, (inside & ~valid[..., None]).astype(np.float32))
    still, pull = Generated(None, np.zeros_like(flow), None), pulled(mask, points)
    return {
        "true": (np.where(inside, target, source), true),
        "unedited": (source, still),
        "pasted": (pasted(source, mask, points), still),
        "blurred": (np.where(inside, cv2.GaussianBlur(target, (0, 0), 1.5), source), true),
        "pulled": (warp(source, pull), Generated(None, pull, None)),
    }


@click.command()
@click.argument("cache", type=click.Path(path_type=Path))
@click.option("--per-clip", default=16, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(cache: Path, per_clip: int, output: Path | None) -> None:
    """Print quantiles of landing error, seam, detail and torn texture for true and failed edits of the pairs in
    CACHE/train, and the verdicts on them.
    """
    samples: dict[str, list[float]] = {}
    verdicts: dict[str, Counter[str]] = {}
    for file in sorted((cache / "train").glob("*.npz")):
        clip = load_clip(file, ("source", "target", "flow", "valid", "mask", "kind"))
        for index in evenly(np.flatnonzero(clip["kind"] == VIDEO), per_clip):
            source: np.ndarray = clip["source"][index]
            target, valid, flow = clip["target"][index], clip["valid"][index], clip["flow"][index].astype(np.float32)
            mask = grown(clip["mask"][index])
            points = sample_points(flow, draggable(target, valid), mask, np.random.default_rng(index), limit=4)
            points = points[np.hypot(*(points[:, 2:] - points[:, :2]).T) > 6]
            if not len(points):
                continue
            for name, (after, generated) in edits(source, target, flow, valid, mask, points).items():
                errors = [e for e in landing_errors(source, after, points) if e is not None]
                assert generated.flow is not None
                tears = torn(generated.flow, generated.revealed, after, mask)
                measures = {
                    "landing": max(errors, default=None),
                    "seam": seam(source, after, mask),
                    "detail": detail(source, after, mask),
                    "torn": float(tears.sum()),
                    "torn apart": float(tears[apart(mask.shape, points)].sum()),
                }
                for measure, value in measures.items():
                    if value is not None:
                        samples.setdefault(f"{measure} {name}", []).append(value)
                verdict = check(source, after, mask, points, 1.0, generated).verdict
                verdicts.setdefault(name, Counter())[verdict] += 1
    figures: dict[str, dict[str, float]] = {
        k: {f"p{q}": round(float(np.percentile(v, q)), 2) for q in QUANTILES} for k, v in samples.items()
    }
    figures["n"] = {k: len(v) for k, v in samples.items()}
    for name, counts in verdicts.items():
        figures[f"verdicts {name}"] = {k: round(counts[k] / counts.total(), 3) for k in ("good", "doubtful", "bad")}
    for name, row in figures.items():
        click.echo(f"{name:<18} " + "  ".join(f"{k} {number(v)}" for k, v in row.items()))
    if output is not None:
        write_aside(output, (json.dumps(figures, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
