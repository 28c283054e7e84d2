"""The direction of imports, for every room and folder, from the tables below.

Imports are read from the source: those inside functions and those for the type checker count too.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from conftest import REPOSITORY

# Which rooms a room may import besides itself.
ROOMS: dict[str, set[str]] = {
    "runtime": set(),
    "metrics": {"runtime"},
    "generator": {"runtime"},
    "export": {"generator", "runtime"},
    "calibration": {"export", "metrics", "runtime"},
    "studio": {"runtime"},
    "benchmarks": {"studio", "calibration", "export", "generator", "metrics", "runtime"},
}
# The lowest first. A module is of the layer with the longest name that its own begins with; it imports its own layer
# and lower ones. Layers in a line do not import each other.
LAYERS = """
runtime.codes
runtime.errors
runtime.trace runtime.system runtime.extras
runtime.files runtime.options
runtime.trace_file runtime.sampling runtime.photo
runtime.bundle
runtime.backends.base
runtime.backends.device
runtime.backends.tensorrt
runtime.backends
runtime.drag
runtime.hold
runtime.selection
runtime.releases
runtime.session
runtime.cluster
edgedrag
metrics
generator.data
generator.diffusion
generator.networks
generator.networks.lightningdrag
generator.training
generator.hold
export.bundle_writer export.capacity export.costs export.cuda_fusion export.half export.parity
export.trace export.weight_file
export.scene
export.golden
export.engines export.lightningdrag
export
calibration.graphs
calibration.runs
calibration
studio.settings
studio.addresses studio.settings_file studio.state_folder
studio.editing
studio.health
studio.records
studio.releases
studio.station
studio.api
studio.serve
benchmarks.formatting benchmarks.nvidia benchmarks.report
benchmarks.sensors
benchmarks.context
benchmarks.quality
benchmarks.latency
benchmarks.engines.comparison
benchmarks.engines benchmarks.station
commands.options
commands
cli
__main__
"""
HEAVY = {"torch", "onnx", "onnx_ir", "onnxscript", "safetensors", "diffusers", "transformers", "scipy", "matplotlib"}


def module_name(file: Path) -> str:
    """As imported, without the package's own name."""
    parts = [part for part in file.relative_to(REPOSITORY).with_suffix("").parts if part != "__init__"]
    parts = parts[2:] if parts[:2] == ["src", "edgedrag"] else parts
    return ".".join(parts) or "edgedrag"


@cache
def modules() -> dict[str, Path]:
    rooms = [file for room in ROOMS for file in (REPOSITORY / room).rglob("*.py")]
    package = [*(REPOSITORY / "src" / "edgedrag").glob("*.py"), *(REPOSITORY / "src/edgedrag/commands").glob("*.py")]
    return {module_name(file): file for file in (*rooms, *package)}


@cache
def imported(file: Path) -> tuple[str, ...]:
    """All that a file imports, by full name: `from a import b` gives a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


@cache
def arrows() -> dict[str, set[str]]:
    """The modules of this package that each of its modules imports."""
    found: dict[str, set[str]] = {}
    for name, file in modules().items():
        found[name] = set()
        for target in imported(file):
            package, _, inner = target.partition(".")
            if package == "edgedrag":
                module = inner if inner in modules() else inner.rpartition(".")[0] or "edgedrag"
                assert module in modules(), f"{name} imports {target}, which is no module"
                found[name].add(module)
    return found


@cache
def layers() -> dict[str, int]:
    return {layer: height for height, line in enumerate(LAYERS.strip().splitlines()) for layer in line.split()}


def layer_of(module: str) -> str:
    beginnings = [layer for layer in layers() if module == layer or module.startswith(f"{layer}.")]
    assert beginnings or module in ROOMS, f"{module}: give it a place in LAYERS"
    return max(beginnings, key=len, default=module)


def test_rooms_import_in_one_direction() -> None:
    wrong = {
        f"{name} -> {target}"
        for name, targets in arrows().items()
        for target in targets
        if (room := name.split(".")[0]) in ROOMS
        and (other := target.split(".")[0]) != room
        and other not in ROOMS[room]
        and not (other == "edgedrag" and "runtime" in ROOMS[room])  # the package's own names are runtime's
    }
    assert not wrong


def test_folders_import_in_one_direction() -> None:
    wrong = set()
    for name, targets in arrows().items():
        own = layer_of(name)
        for other in map(layer_of, targets):
            if other != own and layers()[other] >= layers()[own]:
                wrong.add(f"{name} ({own}) -> {other}")
    assert not wrong


def test_no_module_imports_itself_by_a_detour() -> None:
    try:
        list(TopologicalSorter(arrows()).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_what_runs_on_a_device_imports_no_training_library() -> None:
    wrong = {
        f"{name} -> {target}"
        for name, file in modules().items()
        if name.startswith("runtime.")
        for target in imported(file)
        if target.split(".")[0] in HEAVY
    }
    assert not wrong


def test_rooms_are_imported_as_parts_of_the_package_and_tools_by_nobody() -> None:
    """`import runtime` would work in a checkout and nowhere else."""
    wrong = {
        f"{name} -> {target}"
        for name, file in modules().items()
        for target in imported(file)
        if target.split(".")[0] in (*ROOMS, "tools", "tests") or target.startswith("edgedrag.tools")
    }
    assert not wrong


def test_the_tables_have_every_room_and_no_layer_that_is_gone() -> None:
    links = {link.name for link in (REPOSITORY / "src" / "edgedrag").iterdir() if link.is_symlink()}
    assert links == set(ROOMS)
    assert {layer_of(name) for name in modules()} - set(ROOMS) >= set(layers()) - set(ROOMS)
