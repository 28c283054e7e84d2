"""Building a bundle's engines into the engine cache; each is built once, by one process at a time."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from edgedrag.export.capacity import check_disk, check_memory
from edgedrag.export.engines.builder import THIS_GPU, Built, Progress, build_file, check_target
from edgedrag.runtime.backends.device.cuda import find_gpu
from edgedrag.runtime.backends.tensorrt.cache import (
    EngineKey,
    EngineStore,
    EngineTarget,
    Size,
    StoredEngine,
    engine_key,
)
from edgedrag.runtime.backends.tensorrt.library import BUILD_OPTIONS, check_generation, import_library
from edgedrag.runtime.bundle.graphs import DRAG_STAGES, HOLD, Graph, Variant
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.errors import EngineError, InputError
from edgedrag.runtime.files import check_folder, remove_leftovers, write_whole

PRECISIONS = ("int8", "fp16", "fp32")  # in the order of preference of "auto"
MEMORY_A_BYTE = 4.2  # bytes of memory of a build per byte of weights; measured on the full-size networks
MEMORY_BESIDE = 700_000_000  # bytes of a build, in addition
LOCK = ".building.lock"


@dataclass(frozen=True)
class Request:
    """What to build: library, targets, precision (or "auto") and window sizes (H, W)."""

    library: str
    targets: tuple[str, ...]
    precision: str
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Job:
    """One engine to build: its key and its ONNX file."""

    key: EngineKey
    graph: Graph
    variant: Variant
    target: str  # as passed to the library


def parse_sizes(text: str | None, bundle: Bundle) -> tuple[Size, ...]:
    """Parse "512,384x640" as window sizes (H, W); None gives all of the bundle's windows.

    A single number selects the windows with this longer side, or a square if there are none.

    Raises:
        InputError: a size cannot be parsed, or is outside the bundle's limits.
    """
    if text is None:
        return tuple(bundle.sizes)
    sizes: list[Size] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:x(\d{1,5}))?\s*", part)
        if match is None:
            raise InputError(f"--shapes {part!r}: write sizes as 512 or 384x640 (height x width)")
        height, width = int(match[1]), int(match[2] or match[1])
        longest = [size for size in bundle.sizes if max(size) == height and match[2] is None]
        sizes += longest or [(height, width)]
    for size in sizes:
        for symbol, side in zip("HW", size):
            bound = bundle.manifest["symbols"][symbol]
            if not bound["minimum"] <= side <= bound["maximum"] or side % bound["multiple"]:
                windows = ", ".join(f"{h}x{w}" for h, w in bundle.sizes)
                raise InputError(
                    f"--shapes {size[0]}x{size[1]}: sides of '{bundle.name}' are multiples of {bound['multiple']} from "
                    f"{bound['minimum']} to {bound['maximum']}; its windows are {windows}"
                )
    return tuple(dict.fromkeys(sizes))


def pick_precision(bundle: Bundle, precision: str) -> str:
    """The requested precision; for "auto" the first of INT8, fp16, fp32 in the bundle. Raises InputError if absent."""
    there = [p for p in PRECISIONS if all("single" in g.files(p, "tensorrt") for _, g in bundle.graphs())]
    if precision == "auto" and there:
        return there[0]
    if precision not in there:
        raise InputError(f"bundle '{bundle.name}' has no graphs in {precision}; it has: {', '.join(there) or 'none'}")
    return precision


def plan(bundle: Bundle, request: Request) -> list[Job]:
    """The engines of a request, without duplicates.

    Raises:
        InputError: an unknown target, or a precision that the bundle does not have.
        EngineError: the library is not installed, or the target is "this-gpu" and there is no GPU.
    """
    for target in request.targets:
        check_target(request.library, target)
    version = import_library(request.library).__version__
    generations = {target: generation(target, request.library) for target in request.targets}
    precision = pick_precision(bundle, request.precision)
    jobs: dict[str, Job] = {}
    for target, named in generations.items():
        built_for = EngineTarget(request.library, version, named, BUILD_OPTIONS[request.library])
        windows = [(graph, size) for size in request.sizes for _, graph in bundle.graphs(DRAG_STAGES)]
        holds = [(graph, size) for size in hold_sizes(bundle, request) for graph in bundle.stages[HOLD]]
        for graph, size in windows + holds:  # window by window: a build that stops leaves some that drag
            for variant in graph.files(precision, "tensorrt").values():
                key = engine_key(bundle, graph, variant, precision, size, built_for)
                jobs.setdefault(key.digest, Job(key, graph, variant, target))
    return list(jobs.values())


def hold_sizes(bundle: Bundle, request: Request) -> list[Size]:
    """The hold's own sizes where all windows are built; where only some are, a device holds without its graphs."""
    return bundle.sizes_of(HOLD) if set(bundle.sizes) <= set(request.sizes) else []


def generation(target: str, library: str) -> str:
    """The GPU generation of a target, for engine keys. Raises EngineError if it is "this-gpu" and there is no GPU."""
    if target != THIS_GPU:
        return target
    try:
        name = find_gpu().target
        check_generation(library, name)
        return name
    except EngineError as error:
        ahead = "; to build for other machines name their GPUs, as --target sm_86,sm_89"
        raise EngineError(f"{error}{ahead if library == 'tensorrt-rtx' else ''}", error.code) from None


def build_engines(bundle: Bundle, request: Request, folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """Build the missing engines; yields a row for each engine, with `cached` true if it existed.

    Raises:
        InputError, EngineError: see `plan`; too little memory or disk space; a file cannot be written.
        EdgedragError: the library rejects a graph.
    """
    store, jobs = EngineStore(folder), plan(bundle, request)
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{store.folder}: cannot be created ({error.strerror}); give another folder with -o or EDGEDRAG_ENGINES"
        ) from None
    check_folder(store.folder)
    remove_leftovers(store.folder)
    with tqdm(total=len(jobs), desc="engines", unit="engine", file=sys.stderr) as bar:
        for done, job in enumerate(jobs):
            branch = "" if job.key.branch == "single" else f" {job.key.branch}"
            bar.set_postfix_str(f"{job.key.graph}{branch} {job.key.size[0]}x{job.key.size[1]} {job.key.target}")

            def progress(share: float, done: int = done) -> None:
                bar.update(round(done + share, 2) - bar.n)

            stored, cached = _get(store, bundle, job, progress)
            progress(1.0)
            yield {
                "graph": job.key.graph,
                "branch": job.key.branch,
                "precision": job.key.precision,
                "size": list(job.key.size),
                "target": job.key.target,
                "engine": job.key.library,
                "version": job.key.version,
                "cached": cached,
                "file": str(stored.path),
                "bytes": stored.manifest["bytes"],
                **stored.facts,
            }


def _get(store: EngineStore, bundle: Bundle, job: Job, progress: Progress) -> tuple[StoredEngine, bool]:
    """The engine of a job, and whether it existed. Processes build one at a time and share the results."""
    whole = _find_whole(store, job.key)
    if whole is not None:
        return whole, True
    with _lock(store.folder):
        whole = _find_whole(store, job.key)
        if whole is not None:
            return whole, True
        file = bundle.verified_file(job.variant)
        weights = job.variant.nbytes(bundle.folder)
        needed, in_ram = MEMORY_A_BYTE * weights + MEMORY_BESIDE, weights + MEMORY_BESIDE
        check_memory(needed, f"building '{job.key.graph}'", in_ram)  # the GPU's copy of the weights cannot be swapped
        check_disk(store.folder, 1.2 * weights, f"the engine of '{job.key.graph}'")
        timing = store.folder / f"{job.key.library}-{job.key.version}-{job.key.target}.timing-cache"
        known = timing.read_bytes() if timing.exists() else b""
        built = build_file(file, job.key.shapes, job.target, job.key.library, progress, known)
        if built.cache_dropped:
            tqdm.write(f"{timing.name}: measured by another TensorRT or on another GPU; replaced", file=sys.stderr)
        if built.timing_cache:
            write_whole(timing, built.timing_cache)
        return store.publish(job.key, built.plan, facts(bundle, job.key, built)), False


def facts(bundle: Bundle, key: EngineKey, built: Built) -> dict[str, Any]:
    """The build's entries of an engine's manifest; for INT8 with the calibration drags' hash and the error figures."""
    quality = {}
    if key.recipe is not None:
        recipe = json.loads(bundle.verified_recipe().read_text(encoding="utf-8"))
        figures = recipe["figures"]
        quality = {"calibration_sha256": recipe["calibration"]["sha256"]}
        quality["quality"] = figures.get("tensorrt", figures["chosen"])
    return {
        "seconds": round(built.seconds, 2),
        **dataclasses.asdict(built.facts),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **quality,
    }


def _find_whole(store: EngineStore, key: EngineKey) -> StoredEngine | None:
    """The stored engine, if it exists and is undamaged."""
    stored = store.find(key)
    return stored if stored is not None and stored.fault() is None else None


def _lock(folder: Path) -> Any:
    """The lock of the engine folder; the system releases it when the process ends."""
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise EngineError("filelock is not installed; `pip install filelock`", Code.NOT_INSTALLED) from None
    lock = FileLock(str(folder / LOCK))
    try:
        lock.acquire(timeout=0)
        lock.release()
    except Timeout:
        tqdm.write(f"another process is building in {folder}; waiting for it", file=sys.stderr)
    return lock
