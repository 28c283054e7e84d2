"""`bench quality --dragbench DIR --protocol published`: DragBench as RegionDrag measures it.

Every sample that the user has, split into DragBench-DR (DragDiffusion's 205) and DragBench-SR (SDE-Drag's 100) by the
folder that it lies in; MD is a mean over samples of distances with x divided by the width and y by the height, by DIFT
where the user brings the weights, and by XFeat always. docs/published.md says what may be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgedrag.benchmarks.quality.dift import Dift
from edgedrag.benchmarks.quality.methods import BASELINES, OWN, WARP, Baseline, FullEdit, Method, make
from edgedrag.benchmarks.quality.tables import as_text, mean
from edgedrag.metrics.drag_sets import Task, read_sample
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.metrics.xfeat import XFeat, landings
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.session.runtime import Runtime

WHOLE = {"DragBench-DR": 205, "DragBench-SR": 100}  # samples of the published sets
OTHER = "other samples"
FLOORS = ("unedited", WARP)
LPIPS_SIDE = 224  # pixels; RegionDrag's

Lpips = Callable[[np.ndarray, np.ndarray], float]


def split_of(name: str) -> str:
    """The set that a sample belongs to, by a folder of its path such as dragbench-dr."""
    parts = {part.lower().replace("_", "-") for part in Path(name).parts[:-1]}
    for title in WHOLE:
        if parts & {title.lower(), title.lower()[-2:]}:
            return title
    return OTHER


def load_lpips() -> Lpips | None:
    """LPIPS by AlexNet; None where the package or its weights are not installed."""
    try:
        import lpips
        import torch
        import torch.nn.functional as F

        network = lpips.LPIPS(net="alex", verbose=False).eval()
    except (ImportError, OSError):
        return None

    def tensor(image: np.ndarray) -> Any:
        picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        return F.interpolate(picture, (LPIPS_SIDE, LPIPS_SIDE), mode="bilinear")

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        with torch.no_grad():
            return float(network(tensor(one), tensor(other)))

    return distance


def relative_distance(before: Any, after: Any, task: Task) -> float:
    """RegionDrag's distance of a sample: its points in whole pixels, the search in discs, relative to the sides."""
    points = np.trunc(task.points)
    missed = landings(before, after, points, in_discs=True) - points[:, 2:]
    height, width = task.mask.shape
    return float(np.linalg.norm(missed / [width, height], axis=1).mean())


class Scorer:
    """The metric networks; those that are absent give no column."""

    def __init__(self, stlpips: STLPIPS, xfeat: XFeat, dift: Dift | None, lpips: Lpips | None):
        self.stlpips, self.xfeat, self.dift, self.lpips = stlpips, xfeat, dift, lpips

    def score(self, task: Task, results: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
        """The scores of each result of a sample."""
        photo = self.xfeat.descriptors(task.photo)
        semantic = None if self.dift is None else self.dift.features(task.photo, "")
        scores: dict[str, dict[str, float | None]] = {}
        for name, image in results.items():
            found = None if self.dift is None else self.dift.features(image, "")
            scores[name] = {
                "md_dift": None if found is None else relative_distance(semantic, found, task),
                "md_xfeat": relative_distance(photo, self.xfeat.descriptors(image), task),
                "if_lpips": None if self.lpips is None else 1 - self.lpips(image, task.photo),
                "if_stlpips": 1 - self.stlpips.whole(image, task.photo),
            }
        return scores


def measure_published(
    runtime: Runtime,
    steps: int,
    folders: dict[str, Path],
    max_megapixels: float,
    scorer: Scorer,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The table of each set, with the floors in each; damaged samples are named and left out.

    Raises:
        InputError: no sample can be used.
    """
    methods: dict[str, Method] = {name: Baseline(BASELINES[name]) for name in FLOORS}
    methods[OWN] = FullEdit(runtime, steps, 0)
    scores: dict[str, list[dict[str, dict[str, float | None]]]] = {}
    skipped: dict[str, str] = {}
    for at, (name, folder) in enumerate(folders.items()):
        say(f"{at + 1} of {len(folders)}: {name}")
        try:
            task = read_sample(folder, max_megapixels)
        except InputError as error:
            skipped[name] = str(error)
            continue
        results = {method: make(how, task).image for method, how in methods.items()}
        scores.setdefault(split_of(name), []).append(scorer.score(task, results))
    if not scores:
        raise InputError(f"none of {len(folders)} samples can be used: {next(iter(skipped.values()))}")
    sets = {
        title: {
            "samples": len(found),
            "whole": WHOLE.get(title) == len(found),
            "methods": {name: _means([sample[name] for sample in found]) for name in methods},
        }
        for title, found in sorted(scores.items())
    }
    return {"sets": sets, "skipped_samples": skipped}


def _means(scores: list[dict[str, float | None]]) -> dict[str, float | None]:
    return {
        metric: None if scores[0][metric] is None else mean((score[metric] or 0.0 for score in scores), 4)
        for metric in scores[0]
    }


def describe(figures: dict[str, Any]) -> str:
    """The tables for people, and whether published numbers may stand beside them."""
    lines: list[str] = []
    for title, found in figures["sets"].items():
        lines += [f"{title}, {found['samples']} samples", *as_text(found["methods"]), comparable(title, found), ""]
    lines += [f"left out: {name}: {why}" for name, why in figures["skipped_samples"].items()]
    return "\n".join(lines).rstrip()


def comparable(title: str, found: dict[str, Any]) -> str:
    """What of a set's table is measured as published numbers are."""
    if title not in WHOLE:
        return "No published number is of these samples."
    if not found["whole"]:
        return f"The published set has {WHOLE[title]} samples; no published number is of these {found['samples']}."
    own = found["methods"][OWN]
    same = [
        name for name, metric in (("MD by DIFT", "md_dift"), ("IF by LPIPS", "if_lpips")) if own[metric] is not None
    ]
    if not same:
        return "Neither DIFT nor LPIPS is here; no published number may stand beside these."
    return f"{' and '.join(same)}: by RegionDrag's protocol, but for the prompt, which is empty here. Not the others."
