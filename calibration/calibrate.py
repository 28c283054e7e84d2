"""`edgedrag bundle calibrate`: adds INT8 variants to a bundle, calibrated on real drags, and writes their recipe."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgedrag.calibration.candidates import find_candidates, pick_evenly, record_all
from edgedrag.calibration.entries import SearchResult, graph_entry, point_entry, versions
from edgedrag.calibration.fp32_rest import keep_in_fp32
from edgedrag.calibration.graphs.layers import Layer, find_layers
from edgedrag.calibration.original import open_original
from edgedrag.calibration.recipe import hashes, read_recipe
from edgedrag.calibration.runs.damage import Trial
from edgedrag.calibration.runs.drags import read_drags
from edgedrag.calibration.runs.workbench import Workbench
from edgedrag.calibration.search import Budget, Point, Search
from edgedrag.calibration.writer import write_bundle
from edgedrag.export.bundle_writer import check_bundle_folder
from edgedrag.metrics.stlpips import STLPIPS
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.errors import InputError
from edgedrag.runtime.files import aside_folder, remove_leftovers


@dataclass(frozen=True)
class Request:
    """What to calibrate, and how.

    Attributes:
        drags: a folder in DragBench's format, or a job list.
        steps: step counts of each drag, rising; empty for the bundle's default. Layers are tried at the first.
        searched: number of drags for trying layers, evenly spread over all.
        measure: pattern of the "graph/layer" to try alone; the others go to INT8 untried.
    """

    drags: Path
    budget: Budget
    steps: tuple[int, ...]
    seed: int
    searched: int
    measure: str
    max_megapixels: float


def calibrate(folder: str | Path, request: Request, output: Path) -> dict[str, Any]:
    """Measure, choose, and write the bundle `output`; returns the recipe.

    An interrupted call resumes: its measurements are stored beside `output`.

    Raises:
        InputError: no valid drags, a bundle that has INT8 already, or invalid options.
        BundleError: the bundle cannot be read.
        EdgedragError: a tensor has NaN or infinite values.
    """
    bundle = open_original(folder)
    check_bundle_folder(output)
    try:
        matches = re.compile(request.measure).search
    except re.error as error:
        raise InputError(f"'{request.measure}' is not a regular expression ({error})") from None
    steps = request.steps or (bundle.sampler["default_steps"],)
    drags = read_drags(request.drags, steps, request.seed, request.max_megapixels)
    key = [hashes(bundle), drags.sha256, request.searched, request.measure, versions()]
    with resumable_state(output, key) as state:
        scratch = state / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        bench = Workbench(bundle, scratch)
        layers = {name: find_layers(bench.original(name)) for name in bench.graphs}
        recorded = record_all(bench, layers, drags, state)
        candidates = find_candidates(bench, layers, recorded.plain)
        searched = pick_evenly(drags, request.searched)
        trial = Trial(bench, searched, STLPIPS())
        search = Search(bench, recorded, candidates)
        tried = search.try_alone(trial, lambda key: matches(key) is not None, state / "layers.jsonl")
        tried = search.share(request.budget, trial, tried)
        best, choices = search.most_within(request.budget, trial, tried)
        result = SearchResult(search, recorded, candidates, tried, best)
        recipe = new_recipe(bundle, request, result, layers, choices)
        recipe["calibration"] = {
            "drags": len(drags.drags),
            "sha256": drags.sha256,
            "skipped": len(drags.skipped),
            "searched": len(searched),
            "steps": list(steps),
            "seed": request.seed,
        }
        keep_in_fp32(bench, trial, recipe, request.budget, recorded.plain, searched[0])
        write_bundle(bench, recipe, output)
    return recipe


def new_recipe(
    bundle: Bundle,
    request: Request,
    result: SearchResult,
    layers: Mapping[str, Sequence[Layer]],
    choices: Sequence[Point],
) -> dict[str, Any]:
    """The recipe of a search, without the entries on calibration drags and on TensorRT's fp32 parts."""
    weights = hashes(bundle)
    return {
        "format": "edgedrag-recipe",
        "format_version": 1,
        "bundle": f"{bundle.name} {bundle.manifest['version']}",
        "graphs": {
            name: graph_entry(result, name, graph_layers, weights[name]) for name, graph_layers in layers.items()
        },
        "budget": asdict(request.budget),
        "figures": {"all_int8": point_entry(choices[0]), "chosen": point_entry(result.best), "tensorrt": None},
        "choices": [point_entry(point) for point in choices],
        "versions": versions(),
    }


def apply(folder: str | Path, file: Path, output: Path) -> dict[str, Any]:
    """Write the bundle that a recipe describes, without measuring anything; returns the recipe.

    Raises:
        InputError: the file is no recipe or is for other weights, or the bundle has INT8 already.
    """
    bundle = open_original(folder)
    check_bundle_folder(output)
    recipe = read_recipe(file, bundle)
    remove_leftovers(output.parent)
    with aside_folder(output.parent) as scratch:
        write_bundle(Workbench(bundle, scratch), recipe, output)
    return recipe


@contextmanager
def resumable_state(output: Path, key: Sequence[Any]) -> Iterator[Path]:
    """A folder beside `output` with the measurements of an interrupted call with the same key; removed at the end."""
    folder = output.parent / f".{output.name}.calibration"
    text = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    mark = folder / "key"
    if not mark.is_file() or mark.read_text() != text:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        mark.write_text(text)
    yield folder
    shutil.rmtree(folder)
