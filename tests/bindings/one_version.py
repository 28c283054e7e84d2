"""One version's bindings in a process of its own: the builder or the loader, run to its end on objects of its classes.

usage: one_version.py LIBRARY VERSION builder|loader FOLDER
LIBRARY: tensorrt, tensorrt-lean, or tensorrt-rtx, which is installed where there is one ("installed" for VERSION)
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from host_device import HostDevice
from host_tensorrt import ACTIVATIONS, BROKEN, LOGGED_ACTIVATIONS, WEIGHTS, HostTensorRt
from specified import SpecifiedLibrary
from wheels import Unavailable, fetch, import_bindings, import_lean

import edgedrag
from edgedrag.runtime.backends import registry as backends
from edgedrag.runtime.backends.device import cuda
from edgedrag.runtime.bundle.graphs import HOLD

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "chelsea.png"
NO_BINDINGS = 77  # exit code: skipped
DRAG = [((265, 240), (240, 248))]
TARGET = "sm_87"


def import_version(library: str, version: str, folder: Path) -> ModuleType:
    if library == "tensorrt-rtx":
        return importlib.import_module("tensorrt_rtx")
    if library == "tensorrt-lean":
        names = ("tensorrt-lean-cu12-bindings", "tensorrt-lean-cu12-libs")
        module = import_lean(fetch(*(f"{name}=={version}" for name in names)), folder)
        sys.modules["tensorrt"] = module  # the loader needs nothing that it lacks
        return module
    return import_bindings(fetch(f"tensorrt-cu12-bindings=={version}")[0], folder)


def stand_in_for_the_gpu(device: HostDevice) -> None:
    """A driver that finds a GPU, and the host's memory for the GPU's."""
    from edgedrag.export.engines import build
    from edgedrag.runtime.backends.tensorrt import runner as tensorrt

    found = cuda.Gpu("stand-in", TARGET, "13.0")
    places: tuple[Any, ...] = (backends, build, tensorrt)
    for module in places:
        module.find_gpu = lambda: found
    device.stream = 7  # type: ignore[attr-defined]
    tensorrt.CudaDevice = lambda: device  # type: ignore[assignment, misc]


def check_the_start(module: ModuleType) -> None:
    """A library that is all there, without a driver: its null object is refused with what it reported, and no crash."""
    from edgedrag.runtime.backends.tensorrt.library import start
    from edgedrag.runtime.backends.tensorrt.runner import make_log

    try:
        cuda.find_gpu()
    except edgedrag.EngineError:
        with pytest.raises(
            edgedrag.EngineError, match=r"TensorRT does not start \(.*CUDA.*driver new enough"
        ) as caught:
            start(module.Runtime, make_log(module), "tensorrt")
        assert caught.value.code == "load-failed"


def run_loader(library: str, host: HostTensorRt, folder: Path) -> None:
    """A drag through engines of this version is what ONNX Runtime makes of it, to the byte."""
    from edgedrag.runtime.backends.tensorrt.cache import EngineStore
    from edgedrag.runtime.backends.tensorrt.lookup import EngineLookup, engine_files

    store = EngineStore(folder / "engines")
    store.folder.mkdir()
    bundle = edgedrag.runtime.bundle.manifest.open_bundle("embedded")
    lookup = EngineLookup(store, library, host.version, TARGET)
    engines = [(graph, variant, size) for size in bundle.sizes for graph, variant in engine_files(bundle, "fp32")]
    for graph in bundle.stages[HOLD]:
        variant = graph.files("fp32", "tensorrt")["single"]
        engines += [(graph, variant, size) for size in bundle.sizes_of(HOLD)]
    for graph, variant, size in engines:
        plan = host.plan(str(bundle.verified_file(variant)))
        store.publish(lookup.key(bundle, graph, variant, "fp32", size), plan, {"weight_bytes": WEIGHTS})
    photo = edgedrag.load_picture(PHOTO).pixels
    runtime = edgedrag.open("embedded", library, "fp32", store.folder)
    made = runtime.load(photo).drag(DRAG, steps=4)
    expected = edgedrag.open("embedded", "cpu", "fp32").load(photo).drag(DRAG, steps=4)
    assert made.backend == library and not made.fallback
    assert np.array_equal(made.image, expected.image)


def run_builder(host: HostTensorRt, folder: Path) -> None:
    """Every graph of a drag is built; a timing cache of another version is dropped before the build."""
    from edgedrag.export.engines.build import Request, build_engines
    from edgedrag.export.engines.builder import attach_timing_cache
    from edgedrag.export.engines.facts import EngineFacts, ask_engine

    bundle = edgedrag.runtime.bundle.manifest.open_bundle("embedded")
    request = Request("tensorrt", ("this-gpu",), "fp32", ((256, 256),))
    store = folder / "engines"
    store.mkdir()
    timing = store / f"tensorrt-{host.version}-{TARGET}.timing-cache"
    timing.write_bytes(b"of another version")
    rows = list(build_engines(bundle, request, store))
    assert len(rows) == len(host.builds) == 4 and not any(row["cached"] for row in rows)
    assert all(build["cache"].known["data"] == host.version.encode() for build in host.builds)
    assert timing.read_bytes() == host.version.encode()
    for row in rows:
        facts = (row["weight_bytes"], row["activation_bytes"], row["int8_layers"])
        assert facts == (WEIGHTS, ACTIVATIONS, 2), row
    assert all(row["cached"] for row in build_engines(bundle, request, store))
    config = host.trt.Builder(host.log).create_builder_config()
    cache, dropped = attach_timing_cache(config, BROKEN)
    assert dropped and config.known["cache"] is cache
    assert attach_timing_cache(config, b"") == (config.known["cache"], False), "an empty one is not dropped"
    refused = ask_engine(host.trt, host.log, b'{"version": "1.0"}')
    assert refused == EngineFacts(WEIGHTS, LOGGED_ACTIVATIONS, 0), "an engine that does not load: what the log said"


def main(library: str, version: str, part: str, folder: Path) -> None:
    try:
        module = import_version(library, version, folder)
    except Unavailable as why:
        print(why)
        raise SystemExit(NO_BINDINGS) from None
    assert version in ("installed", module.__version__), module.__version__
    if library == "tensorrt-lean":
        check_the_start(module)
    device = HostDevice()
    host = HostTensorRt(module, device)
    SpecifiedLibrary(module, host.answers())
    stand_in_for_the_gpu(device)
    if part == "loader":
        run_loader("tensorrt" if library == "tensorrt-lean" else library, host, folder)
    else:
        run_builder(host, folder)


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4]))
