"""`edgedrag engines command`: a line that a shell and trtexec take, for the engine that a build would make."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from toy_hold import add_toy_hold

from edgedrag.export.engines.build import Request, hold_sizes
from edgedrag.export.engines.trtexec import trtexec_commands
from edgedrag.runtime.backends.tensorrt.cache import EngineTarget, engine_key
from edgedrag.runtime.bundle.graphs import DRAG_STAGES
from edgedrag.runtime.bundle.manifest import Bundle, open_bundle
from edgedrag.runtime.errors import InputError

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
EMBEDDED = open_bundle("embedded")
SIZE = (256, 192)


def options(line: str) -> dict[str, str]:
    program, *arguments = shlex.split(line)
    assert program == "trtexec"
    return {name: value for name, _, value in (argument.partition("=") for argument in arguments)}


def shapes(text: str) -> dict[str, tuple[int, ...]]:
    return {name: tuple(map(int, dims.split("x"))) for name, _, dims in (p.partition(":") for p in text.split(","))}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", [graph.name for _, graph in EMBEDDED.graphs(DRAG_STAGES)])
def test_the_shapes_are_those_of_the_engine_that_a_build_makes(name: str, precision: str) -> None:
    (line,) = trtexec_commands(EMBEDDED, name, "single", precision, (SIZE,))
    given = options(line)
    graph = next(graph for _, graph in EMBEDDED.graphs(DRAG_STAGES) if graph.name == name)
    variant = graph.files(precision, "tensorrt")["single"]
    key = engine_key(EMBEDDED, graph, variant, precision, SIZE, EngineTarget("tensorrt", "10.3", "sm_87", ()))
    assert Path(given["--onnx"]) == EMBEDDED.verified_file(variant)
    model = onnx.load(given["--onnx"], load_external_data=False)
    open_inputs = {i.name for i in model.graph.input if any(d.dim_param for d in i.type.tensor_type.shape.dim)}
    for at, bound in enumerate(("minShapes", "optShapes", "maxShapes")):
        found = shapes(given[f"--{bound}"])
        assert set(found) == open_inputs, "trtexec refuses shapes of inputs whose shape is fixed"
        assert found == {n: key.shapes[n][at] for n in found}
    assert given["--shapes"] == given["--optShapes"]
    assert {"--stronglyTyped", "--useCudaGraph", "--saveEngine"} <= set(given)
    assert not {"--fp16", "--int8"} & set(given), "TensorRT 11 has none of these"


def test_a_folder_with_blanks_and_quotes_is_one_argument(toy: Path, tmp_path: Path) -> None:
    moved = toy.rename(tmp_path / "a site's $(bundle)")
    bundle: Bundle = open_bundle(moved)
    graph = next(graph.name for _, graph in bundle.graphs())
    (line, *_) = trtexec_commands(bundle, graph, "single", "fp32", tuple(bundle.sizes))
    echoed = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True)
    assert echoed.stdout.splitlines() == shlex.split(line)
    assert str(moved) in options(line)["--onnx"]


def test_what_there_is_not_is_said() -> None:
    with pytest.raises(InputError, match="no graph 'nose'; it has: encoder, condition"):
        list(trtexec_commands(EMBEDDED, "nose", "single", "auto", (SIZE,)))
    with pytest.raises(InputError, match="no branch 'pair'; it has: single"):
        list(trtexec_commands(EMBEDDED, "condition", "pair", "auto", (SIZE,)))
    with pytest.raises(InputError, match="no graphs in fp64"):
        list(trtexec_commands(EMBEDDED, "condition", "single", "fp64", (SIZE,)))


def test_the_command_prints_a_line_a_size(edit_cli: Cli) -> None:
    done = edit_cli("engines", "command", "condition", "--shapes", "256,512")
    sizes = [size for size in EMBEDDED.sizes if max(size) == 256]
    assert done.returncode == 0 and len(done.stdout.splitlines()) == len(sizes) + 1, done.stderr
    assert len(edit_cli("engines", "command", "condition").stdout.splitlines()) == 1
    bad = edit_cli("engines", "command", "nose")
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and not bad.stdout


def test_the_hold_is_at_its_own_sizes_and_built_with_all_windows(toy: Path) -> None:
    bundle = open_bundle(add_toy_hold(toy))
    lines = list(trtexec_commands(bundle, "hold_features", "single", "fp32", ((128, 128),)))
    shapes = [line.split("image:")[1].split()[0] for line in lines]
    assert shapes == ["1x3x64x64", "1x3x128x128", "1x3x64x128", "1x3x128x64"]
    every = Request("tensorrt-rtx", ("sm_86",), "fp32", tuple(bundle.sizes))
    assert hold_sizes(bundle, every) == bundle.sizes_of("hold")
    assert hold_sizes(bundle, Request("tensorrt-rtx", ("sm_86",), "fp32", ((64, 64),))) == []
