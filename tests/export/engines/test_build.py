"""`edgedrag engines build` and `edgedrag engines`: TensorRT-RTX, ahead of time, without a GPU."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from conftest import EXAMPLES, rewrite_manifest

from edgedrag.export import capacity
from edgedrag.export.engines import build as build_module
from edgedrag.export.engines.build import Request, build_engines, parse_sizes, pick_precision
from edgedrag.runtime.backends.tensorrt.cache import EngineStore
from edgedrag.runtime.backends.tensorrt.lookup import EngineLookup, engine_files
from edgedrag.runtime.bundle.graphs import HOLD
from edgedrag.runtime.bundle.manifest import find_bundle, open_bundle
from edgedrag.runtime.errors import EdgedragError, InputError
from edgedrag.runtime.files import sha256_of
from edgedrag.runtime.system.memory import Memory

pytestmark = pytest.mark.slow

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed; there is none for this platform")
pytest.importorskip("filelock")

Cli = Callable[..., CompletedProcess[str]]
RTX = ("--engine", "tensorrt-rtx")
ONE = ("--shapes", "256x256")


def build_json(edit_cli: Cli, *args: str | Path) -> list[dict]:
    done = edit_cli("engines", "build", "embedded", *RTX, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["engines"]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_every_graph_builds_for_both_generations(edit_cli: Cli, tmp_path: Path, precision: str) -> None:
    rows = build_json(edit_cli, "--target", "sm_86,sm_89", "--precision", precision, *ONE, "-o", tmp_path)
    assert {(r["graph"], r["target"]) for r in rows} == {
        (graph, target) for graph in ("encoder", "condition", "denoiser", "decoder") for target in ("sm_86", "sm_89")
    }
    bundle = open_bundle("embedded")
    for row in rows:
        graph = next(g for _, g in bundle.graphs() if g.name == row["graph"])
        names = [n for v in graph.files(precision, "tensorrt").values() for n in (v.file, *dict(v.external))]
        stored = sum((bundle.folder / name).stat().st_size for name in names)
        if row["graph"] != "decoder":  # it has no weights
            assert 0.5 * stored < row["weight_bytes"] <= 1.3 * stored, row
            assert 0 < row["activation_bytes"] < 1 << 26
        assert (row["int8_layers"] > 0) == (
            precision == "int8" and row["graph"] in ("encoder", "condition", "denoiser")
        ), row
        assert row["bytes"] == Path(row["file"]).stat().st_size


def test_the_graphs_of_the_hold_build_at_their_own_sizes_where_all_windows_do() -> None:
    bundle = open_bundle("embedded")
    some, whole = (
        build_module.plan(bundle, Request("tensorrt-rtx", ("sm_86",), "int8", sizes))
        for sizes in (((256, 256),), tuple(bundle.sizes))
    )
    assert len(some) == 4 and len(whole) == 4 * len(bundle.sizes) + 2 * len(bundle.sizes_of(HOLD))
    holds = [job for job in whole if job.key.size == (96, 128) and job.graph in bundle.stages[HOLD]]
    assert [job.key.graph for job in holds] == ["hold_features", "hold_answers"]
    for job in holds:
        built = build_module.build_file(bundle.verified_file(job.variant), job.key.shapes, job.target)
        stored = job.variant.nbytes(bundle.folder)  # fp32, in half of that
        assert 0.5 * stored < built.facts.weight_bytes <= 2.6 * stored and built.facts.int8_layers == 0


def test_a_second_build_uses_the_cache_and_a_change_rebuilds(edit_cli: Cli, tmp_path: Path) -> None:
    args = ("--target", "sm_86", *ONE, "-o", tmp_path)
    assert not any(row["cached"] for row in build_json(edit_cli, *args))
    assert all(row["cached"] for row in build_json(edit_cli, *args))
    assert not any(row["cached"] for row in build_json(edit_cli, "--target", "sm_89", *ONE, "-o", tmp_path))
    assert not any(row["cached"] for row in build_json(edit_cli, *args, "--precision", "fp16"))
    assert not any(
        row["cached"] for row in build_json(edit_cli, "--target", "sm_86", "--shapes", "192x256", "-o", tmp_path)
    )
    first = next(EngineStore(tmp_path).entries())
    first.path.write_bytes(b"\0" * 1000)
    again = build_json(edit_cli, "--target", first.manifest["key"]["target"], "--precision",
                       first.manifest["key"]["precision"], *ONE, "-o", tmp_path)  # fmt: skip
    assert [row["cached"] for row in again].count(False) == 1, "the damaged one alone is built again"


def test_another_recipe_is_another_engine(tmp_path: Path) -> None:
    folder = shutil.copytree(find_bundle("embedded"), tmp_path / "bundle")
    request = Request("tensorrt-rtx", ("sm_86",), "int8", ((128, 256),))
    store = tmp_path / "engines"
    list(build_engines(open_bundle(folder), request, store))
    assert all(row["cached"] for row in build_engines(open_bundle(folder), request, store))
    recipe = folder / "recipe.json"
    recipe.write_text(recipe.read_text() + "\n")
    rewrite_manifest(folder, lambda m: m["recipe"].update(sha256=sha256_of(recipe)))
    assert not any(row["cached"] for row in build_engines(open_bundle(folder), request, store))


def test_two_builders_at_once_build_each_engine_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgedrag", "engines", "build", "embedded", *RTX, "--target", "sm_86", "--json"]
    command += ["--shapes", "256x256,256x192", "-o", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    rows = [json.loads(process.communicate(timeout=300)[0])["engines"] for process in both]
    assert len(rows[0]) == len(rows[1]) == 8
    assert all(one["cached"] != other["cached"] or one["cached"] for one, other in zip(*rows))
    assert sum(not row["cached"] for part in rows for row in part) == 8
    assert all(stored.fault() is None for stored in EngineStore(tmp_path).entries())
    assert EngineStore(tmp_path).strays() == []


def heed_interrupts() -> None:
    """A shell lets what it runs in the background ignore Ctrl-C; the build that is tested must not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_build_goes_on_where_it_was(edit_cli: Cli, tmp_path: Path, how: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "edgedrag",
        "engines",
        "build",
        "embedded",
        *RTX,
        "--target",
        "sm_86",
        "-o",
        str(tmp_path),
    ]
    errors = tmp_path.parent / f"{tmp_path.name}.err"
    with errors.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, preexec_fn=heed_interrupts)
        while len(list(tmp_path.glob("*.json"))) < 3 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(how)
        process.wait(timeout=60)
    output = errors.read_text()
    if how == signal.SIGINT:
        assert process.returncode == 1 and "interrupted" in output and "Traceback" not in output
    there = len(list(EngineStore(tmp_path).entries()))
    assert all(stored.fault() is None for stored in EngineStore(tmp_path).entries())
    rows = build_json(edit_cli, "--target", "sm_86", *ONE, "-o", tmp_path)
    assert 3 <= there and sum(row["cached"] for row in rows) >= 3


def test_list_verify_and_prune(edit_cli: Cli, tmp_path: Path) -> None:
    build_json(edit_cli, "--target", "sm_86", "--shapes", "128x256", "-o", tmp_path)
    cache = ("--engines", tmp_path)
    listed = json.loads(edit_cli("engines", "list", *cache, "--json").stdout)["engines"]
    assert all(entry["built"]["quality"]["psnr_db"] > 38 for entry in listed)
    assert len({entry["built"]["calibration_sha256"] for entry in listed}) == 1
    assert len(listed) == 4 and {entry["key"]["library"] for entry in listed} == {"tensorrt-rtx"}
    assert edit_cli("engines", "verify", *cache).returncode == 0
    broken = tmp_path / listed[0]["file"]
    broken.write_bytes(broken.read_bytes()[:-5] + b"12345")
    done = edit_cli("engines", "verify", *cache)
    assert done.returncode == 3 and f"{broken.name}  DAMAGED: its bytes are not those" in done.stdout
    removed = json.loads(edit_cli("engines", "prune", *cache, "--json").stdout)["removed"]
    assert [entry["file"] for entry in removed] == [broken.name] and not broken.exists()
    assert "3 engines" in edit_cli("engines", "list", *cache).stdout
    edit_cli("engines", "prune", "--all", *cache)
    assert not list(tmp_path.glob("*.engine"))


def test_the_default_folder_is_the_same_for_all(edit_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("EDGEDRAG_ENGINES", "EDGEDRAG_CACHE"):
        monkeypatch.delenv(name, raising=False)
    rows = build_json(edit_cli, "--target", "sm_86", "--shapes", "128x256")
    assert Path(rows[0]["file"]).parent == tmp_path / "edgedrag" / "engines"
    assert json.loads(edit_cli("doctor", "--json").stdout)["built"]["engines"] == 4


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((*RTX, "--target", "sm_42"), 2, "target 'sm_42' is not one of this-gpu, sm_75"),
        (("--engine", "tensorrt", "--target", "sm_86"), 2, "TensorRT builds on the device it is for"),
        ((*RTX, "--target", "sm_86", "--shapes", "500"), 2, "sides of 'embedded' are multiples of 32 from 64 to 1024"),
        ((*RTX, "--target", "sm_86", "--shapes", "big"), 2, "write sizes as 512 or 384x640"),
        ((*RTX, "--target", "sm_86", "-o", "/dev/null"), 2, "/dev/null: is a file"),
        ((), 2, "Missing option '--engine'"),
    ],
)
def test_what_cannot_be_built_is_said(edit_cli: Cli, args: tuple[str, ...], code: int, said: str) -> None:
    done = edit_cli("engines", "build", "embedded", *args)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_a_library_that_is_not_installed(edit_cli: Cli, tmp_path: Path) -> None:
    store, edited, photo = EngineStore(tmp_path / "engines"), tmp_path / "edited.png", EXAMPLES / "chelsea.png"
    store.folder.mkdir()
    bundle = open_bundle("embedded")
    lookup = EngineLookup(store, "tensorrt", "10.3.0", "sm_87")
    for graph, variant in engine_files(bundle, "fp32"):
        store.publish(lookup.key(bundle, graph, variant, "fp32", bundle.sizes[0]), b"plan", {"weight_bytes": 4})
    drag = ("drag", photo, "--drag", "265,240:240,248", "-o", edited, "--engines", store.folder)
    before = sorted(store.folder.iterdir())
    for command in (
        (*drag, "--backend", "tensorrt"),
        ("engines", "build", "embedded", "--engine", "tensorrt", "-o", store.folder),
    ):
        done = edit_cli(*command)
        assert done.returncode == 3 and "tensorrt is not installed" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert sorted(store.folder.iterdir()) == before and not edited.exists()


def test_a_bundle_without_the_precision(toy: Path) -> None:
    assert pick_precision(open_bundle("embedded"), "auto") == "int8"
    assert pick_precision(open_bundle(toy), "auto") == "fp32"
    with pytest.raises(InputError, match="bundle 'toy' has no graphs in int8; it has: fp32"):
        pick_precision(open_bundle(toy), "int8")


def test_shapes() -> None:
    bundle = open_bundle("embedded")
    assert parse_sizes(None, bundle) == tuple(bundle.sizes)
    assert set(parse_sizes("256", bundle)) == set(bundle.sizes), "the windows whose longer side it is"
    assert parse_sizes("512, 128x256", bundle) == ((512, 512), (128, 256))


def test_too_little_memory_is_said_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "read_memory", lambda: Memory(10**10, 10**8, 0, 0))
    request = Request("tensorrt-rtx", ("sm_86",), "int8", ((256, 256),))
    with pytest.raises(InputError, match=r"too little memory: building 'encoder' needs 0\.7 GB, 0\.1 GB are free"):
        list(build_engines(open_bundle("embedded"), request, tmp_path))


def test_progress_only_rises_and_comes_to_its_end(tmp_path: Path) -> None:
    bundle = open_bundle("embedded")
    job = build_module.plan(bundle, Request("tensorrt-rtx", ("sm_86",), "int8", ((256, 256),)))[1]
    shares: list[float] = []
    build_module.build_file(bundle.verified_file(job.variant), job.key.shapes, "sm_86", progress=shares.append)
    assert shares == sorted(shares) and len(set(shares)) > 10
    assert 0 <= shares[0] < 0.5 < shares[-1] <= 1


def test_a_graph_that_is_refused_names_the_node(toy: Path, tmp_path: Path) -> None:
    bundle = open_bundle(toy)
    first = next(g for _, g in bundle.graphs()).variants[0]
    (toy / first.file).write_bytes(b"not a graph")
    with pytest.raises(EdgedragError, match="damaged or changed since export"):
        list(build_engines(bundle, Request("tensorrt-rtx", ("sm_86",), "fp32", ((128, 128),)), tmp_path / "e"))
