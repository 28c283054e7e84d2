"""`edgedrag bench quality`: a bundle against baselines, on pairs with ground truth or on DragBench's samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.context import context
from edgedrag.benchmarks.quality.methods import LineUp, line_up
from edgedrag.benchmarks.quality.pairs import unseen_clips
from edgedrag.benchmarks.quality.tables import as_text
from edgedrag.runtime.files import scratch_folder
from edgedrag.runtime.session.runtime import Runtime


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        pairs, dragbench: folder of mined pairs, or of samples; one of them is None.
        weights: folder of the metric networks' weights; None uses the installed packages.
        per_clip: number of pairs of real frames from each clip.
        compare: name -> further bundle.
        relatives: whether to export and compare the embedded generator's teacher and regression checkpoints.
    """

    pairs: Path | None
    dragbench: Path | None
    weights: Path | None
    per_clip: int
    compare: dict[str, str]
    relatives: bool
    steps: int | None
    seed: int
    max_megapixels: float


def measure(runtime: Runtime, request: Request) -> tuple[dict[str, Any], np.ndarray]:
    """The report, and a page of results (uint8 RGB).

    Raises:
        InputError: no metric networks, nothing to measure on, or invalid options.
    """
    from edgedrag.benchmarks.quality.dragbench import measure_dragbench
    from edgedrag.benchmarks.quality.pairs_quality import measure_pairs
    from edgedrag.metrics.drag_sets import find_samples
    from edgedrag.metrics.stlpips import STLPIPS
    from edgedrag.metrics.xfeat import XFeat

    stlpips = STLPIPS(request.weights)
    weights = {"stlpips": stlpips.sha256}
    with scratch_folder() as relatives:

        def rows() -> LineUp:
            folder = relatives if request.relatives else None
            return line_up(runtime, request.steps, request.seed, request.compare, folder)

        if request.pairs is not None:
            learned_from = runtime.bundle.manifest["provenance"].get("training_clips", ())
            clips = unseen_clips(request.pairs, request.per_clip, learned_from)
            lined_up = rows()
            figures, page = measure_pairs(lined_up, clips, request.seed, stlpips)
        else:
            assert request.dragbench is not None
            xfeat = XFeat(request.weights)
            weights["xfeat"] = xfeat.sha256
            samples = find_samples(request.dragbench)
            lined_up = rows()
            figures, page = measure_dragbench(lined_up, samples, request.max_megapixels, stlpips, xfeat)
    return {
        **context(runtime),
        "kind": "dragbench" if request.pairs is None else "pairs",
        "steps": lined_up.steps,
        "seed": request.seed,
        **figures,
        "left_out": lined_up.left_out,
        "compared": {
            name: {
                "checkpoint_sha256": bundle.bundle.manifest["provenance"]["checkpoint_sha256"],
                "precision": bundle.precision,
                "steps": bundle.bundle.sampler["default_steps"],
            }
            for name, bundle in lined_up.bundles.items()
        },
        "metric_weights_sha256": weights,
    }, page.draw()


def describe(figures: dict[str, Any]) -> str:
    """The report as text."""
    if figures["kind"] == "pairs":
        lines = [
            f"{figures['pairs']} pairs of real frames from {figures['clips']} clips that are not in the training data"
        ]
        groups = {"real frames and synthetic motion": figures["all_kinds"], **figures["by_kind"]}
        tables = {f"{kind} ({g['pairs']} pairs)": g["methods"] for kind, g in groups.items()}
        tables |= {f"{clip} ({g['pairs']} pairs)": g["methods"] for clip, g in figures["by_clip"].items()}
    else:
        lines = [f"{figures['samples']} samples, {figures['drags']} drags, {figures['skipped']} samples skipped"]
        tables = {}
    lines += as_text(figures["methods"])
    for title, table in tables.items():
        lines += ["", title, *as_text(table)]
    lines.append("")
    for name, counts in figures["verdicts"].items():
        lines.append(f"verdicts of {name}: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    lines += [f"left out: {name}: {why}" for name, why in figures["left_out"].items()]
    return "\n".join(lines)
