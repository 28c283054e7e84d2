"""The golden drag of a bundle, its inputs and what fp32 made of them: a device tests itself before it serves.

Where the bundle has graphs for the hold, what they answer at a point of the same picture is tested too.
"""

from __future__ import annotations

import io
import time
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedrag.runtime.bundle.graphs import DRAG_STAGES, HOLD, Graph
from edgedrag.runtime.bundle.manifest import Bundle
from edgedrag.runtime.codes import Code
from edgedrag.runtime.drag.composite import compose
from edgedrag.runtime.drag.run import DragRun
from edgedrag.runtime.drag.stages import Stages, files
from edgedrag.runtime.errors import BundleError, EngineError
from edgedrag.runtime.hold.run import HoldRun
from edgedrag.runtime.hold.view import PhotoView
from edgedrag.runtime.sampling.sampler import make_table

LEAST_HOLD_DB = 30.0  # SNR of the hold's answers in any precision; its graphs are in fp32 or fp16
SAMPLES = 512  # values stored of each tensor, evenly spread, to say which graph went wrong


@dataclass(frozen=True)
class Golden:
    """A passed self-test: PSNR of the picture against the stored one, in the mask, and the least that is accepted.

    `first_ms` is the first drag on this device, with all that it loads and compiles; `again_ms` the next one. `hold_db`
    is the SNR of what the hold's graphs answer; None where the bundle has none, or no engines for their sizes.
    """

    psnr_db: float
    least_db: float
    first_ms: float
    again_ms: float
    hold_db: float | None = None


def read_golden(bundle: Bundle) -> dict[str, np.ndarray] | None:
    """The stored arrays; None where there are none.

    They are picture, mask, points, steps, edited; with graphs for the hold also hold_point and hold_answers; and
    samples of tensors, by GRAPH/TENSOR.
    """
    if "golden" not in bundle.manifest:
        return None
    path = bundle.verified_golden()
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: cannot be read ({error})") from None


def run_golden(bundle: Bundle, stages: Stages, golden: dict[str, np.ndarray]) -> tuple[np.ndarray, DragRun]:
    """The edited picture, uint8 RGB, and the run that made it."""
    run = DragRun(bundle, stages, golden["picture"], golden["mask"], golden["points"])
    made = run.run(make_table(bundle.sampler, int(golden["steps"])), seed=0)
    return compose(golden["picture"], golden["mask"], made), run


def self_test(bundle: Bundle, stages: Stages) -> Golden | None:
    """Run the golden drag; None where the bundle has none, or the engines are not of its size.

    Raises:
        EngineError: "self-test": the result is not the stored one; says which graph went wrong and how to look into it.
    """
    golden = read_golden(bundle)
    if golden is None or golden["picture"].shape[:2] not in stages.sizes:
        return None
    least = float(bundle.manifest["golden"]["least_db"].get(stages.precision, 0.0))
    # The second time a device finds the same memory spare, and records what it will replay from then on.
    (found, first), (again, next_one) = (_tested(bundle, stages, golden, least) for _ in range(2))
    return Golden(round(min(found, again), 2), least, first, next_one, _hold_tested(bundle, stages, golden))


def _tested(bundle: Bundle, stages: Stages, golden: dict[str, np.ndarray], least: float) -> tuple[float, float]:
    """PSNR of one run of the golden drag, and its milliseconds. Raises EngineError, "self-test"."""
    started = time.perf_counter()
    edited, run = run_golden(bundle, stages, golden)
    spent = round((time.perf_counter() - started) * 1e3, 2)
    found = psnr(edited, golden["edited"], golden["mask"])
    if not found >= least:
        raise EngineError(
            f"self-test: the golden drag is at {found:.1f} dB from what it should be, in {stages.precision} at least "
            f"{least:.1f} dB are expected; {explain(bundle, stages, golden, run)}",
            Code.SELF_TEST,
        )
    return found, spent


def _hold_tested(bundle: Bundle, stages: Stages, golden: dict[str, np.ndarray]) -> float | None:
    """SNR of the hold's answers, dB. Raises EngineError, "self-test"."""
    if not bundle.hold_sizes or "hold_answers" not in golden:
        return None
    run, view, point = HoldRun(bundle, stages), PhotoView(golden["picture"]), golden["hold_point"]
    try:
        answers = run.answers(view, point)
    except (
        EngineError
    ):  # no engines of these sizes: holds come from GrabCut, with a warning when the first is asked for
        return None
    found = float("-inf") if answers is None else snr_db(golden["hold_answers"], sample(answers))
    if not found >= LEAST_HOLD_DB:
        tensors = run.tensors(view, point)
        raise EngineError(
            f"self-test: what the hold's graphs answer is at {found:.1f} dB from what it should be, at least "
            f"{LEAST_HOLD_DB:.1f} dB are expected; {_explain_hold(bundle, stages, golden, tensors)}",
            Code.SELF_TEST,
        )
    return round(found, 2)


def _explain_hold(bundle: Bundle, stages: Stages, golden: dict[str, np.ndarray], tensors: dict[str, np.ndarray]) -> str:
    """The first graph of the hold whose tensors are off, and the command that compares its layers."""
    for graph in bundle.stages[HOLD]:
        for tensor in graph.outputs:
            stored = golden.get(f"{graph.name}/{tensor.name}")
            snr = None if stored is None else snr_db(stored, sample(tensors[tensor.name]))
            if snr is not None and not snr >= 20.0:
                size = bundle.hold_sizes[0][-1]
                command = comparison_command(bundle, stages, graph, size)
                return f"'{graph.name}' gives '{tensor.name}' at {snr:.1f} dB; compare its layers: {command}"
    return "no graph alone is far off"


def explain(bundle: Bundle, stages: Stages, golden: dict[str, np.ndarray], run: DragRun) -> str:
    """The first graph whose tensors are off, and the command that compares its layers."""
    for _, graph in bundle.graphs(DRAG_STAGES):
        for tensor in graph.outputs:
            stored = golden.get(f"{graph.name}/{tensor.name}")
            if stored is None or tensor.name not in run.tensors:
                continue
            snr = snr_db(stored, sample(stages.backend.download(run.tensors[tensor.name])))
            if not snr >= 20.0:
                command = comparison_command(bundle, stages, graph, golden["picture"].shape[:2])
                return f"'{graph.name}' gives '{tensor.name}' at {snr:.1f} dB; compare its layers: {command}"
    return "no graph alone is far off"


def comparison_command(bundle: Bundle, stages: Stages, graph: Graph, size: tuple[int, int]) -> str:
    """Polygraphy's comparison of a graph's layers between this engine and ONNX Runtime."""
    file = bundle.folder / files(graph, stages.backend, stages.precision)["single"].file
    sizes = {"H": size[0], "W": size[1], "N": 1}
    shapes = " ".join(f"{t.name}:[{','.join(map(str, t.concrete(sizes)))}]" for t in graph.inputs)
    rtx = "POLYGRAPHY_USE_TENSORRT_RTX=1 " if stages.backend.name == "tensorrt-rtx" else ""
    marks = "--onnx-outputs mark all --trt-outputs mark all --strongly-typed"
    return f"`{rtx}polygraphy run {file} --onnxrt --trt {marks} --input-shapes {shapes}`"


def sample(array: np.ndarray) -> np.ndarray:
    """Up to `SAMPLES` values, evenly spread, float32."""
    flat = np.asarray(array).reshape(-1)
    return flat[:: max(1, flat.size // SAMPLES)][:SAMPLES].astype(np.float32)


def psnr(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Of uint8 pictures inside a mask, dB; equal ones are at 99."""
    error = np.mean((image[mask].astype(np.float64) - truth[mask]) ** 2)
    return 99.0 if error == 0 else min(99.0, float(10 * np.log10(255.0**2 / error)))


def snr_db(expected: np.ndarray, found: np.ndarray) -> float:
    """Signal to noise, dB; minus infinity where what was found is not a number."""
    noise: Any = np.mean((found.astype(np.float64) - expected) ** 2)
    if not np.isfinite(noise):
        return float("-inf")
    return float(10 * np.log10(max(np.mean(expected.astype(np.float64) ** 2), 1e-30) / max(noise, 1e-30)))
