"""OpenVINO as the engine, against ONNX Runtime on the same drags."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

import edgedrag
from edgedrag.metrics.pixels import psnr_in_mask
from edgedrag.runtime.errors import EngineError
from edgedrag.runtime.system.processor import multiplies_int8

pytest.importorskip("openvino", reason="OpenVINO is not installed here")

from edgedrag.runtime.backends.openvino import OpenVinoCpu

DRAGS = [((265, 240), (240, 248))]


def less_exact(precision: str) -> AbstractContextManager[object]:
    """Expect the warning of INT8 on a processor without VNNI."""
    if precision == "int8" and not multiplies_int8():
        return pytest.warns(RuntimeWarning, match="INT8 is less exact with openvino on this processor")
    return nullcontext()


@pytest.mark.parametrize(("precision", "least"), [("fp32", 60.0), ("int8", 30.0), ("bf16", 30.0)])
def test_a_drag_is_what_onnx_runtime_makes_of_it_in_fp32(cat: np.ndarray, precision: str, least: float) -> None:
    if precision not in OpenVinoCpu().precisions:
        pytest.skip("this processor does not multiply bfloat16")
    expected = edgedrag.open(backend="cpu", precision="fp32").load(cat).drag(DRAGS)
    with less_exact(precision):
        photo = edgedrag.open(backend="openvino", precision=precision).load(cat)
    found = photo.drag(DRAGS)
    assert psnr_in_mask(found.image, expected.image, expected.mask) > least
    assert np.array_equal(found.image[~found.mask], cat[~found.mask]), "outside the mask: equal bytes"
    photo.undo()
    two = photo.drag([*DRAGS, ((230, 230), (215, 240))])
    photo.undo()
    assert not np.array_equal(two.image, found.image)
    assert np.array_equal(photo.drag(DRAGS).image, found.image), "another number of drags leaves nothing behind"


def test_a_file_that_is_no_graph(runtime: edgedrag.Runtime, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    _, graph = next(runtime.bundle.graphs())
    with pytest.raises(EngineError, match=r"broken.onnx: OpenVINO cannot load this graph"):
        OpenVinoCpu().compile(graph, tmp_path / "broken.onnx", "fp32")


SIGNAL = """
import gc, signal
import edgedrag

signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
first, second = (edgedrag.open(backend="openvino", precision="fp32") for _ in range(2))
for runtime in (first, second):
    runtime.load("examples/chelsea.png").drag([((265, 240), (240, 248))])
del runtime, first
gc.collect()
del second
gc.collect()
signal.raise_signal(signal.SIGUSR1)
"""


@pytest.mark.slow
def test_a_signal_after_runtimes_are_closed_is_handled() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNAL], capture_output=True, text=True, cwd=REPOSITORY, timeout=120)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
