"""The README's commands, run as written in a copy of the repository; what is installed without torch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

import edgedrag

pytestmark = pytest.mark.slow

README = (REPOSITORY / "README.md").read_text()
IGNORED = shutil.ignore_patterns(".git", ".venv*", "__pycache__", "*.egg-info", "build", "dist", ".*_cache")


def commands(heading: str) -> str:
    """The first shell block under a heading of the README."""
    return re.search(rf"^## {heading}\n.*?```sh\n(.*?)```", README, re.S | re.M).group(1)


def run(command: str, cwd: Path) -> str:
    done = subprocess.run(["bash", "-euc", command], cwd=cwd, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which the README's first block was run."""
    folder = tmp_path_factory.mktemp("clone") / "edgedrag"
    shutil.copytree(REPOSITORY, folder, symlinks=True, ignore=IGNORED)
    run(commands("Edit a photo"), folder)
    return folder


def test_the_first_command_leaves_an_edit_and_a_sheet(clone: Path) -> None:
    for name in re.findall(r"(?:-o|--sheet) (\S+\.png)", commands("Edit a photo")):
        assert (clone / name).stat().st_size > 10_000


def test_every_runtime_module_imports_without_torch_and_onnx(clone: Path) -> None:
    script = """
import importlib, pathlib, pkgutil, sys
import edgedrag.runtime
names = [m.name for m in pkgutil.walk_packages(edgedrag.runtime.__path__, "edgedrag.runtime.")]
for name in names + ["edgedrag.cli"]:
    importlib.import_module(name)
heavy = {"torch", "onnx", "scipy", "safetensors"} & set(sys.modules)
assert not heavy, heavy
others = [m for m in sys.modules if m.startswith("edgedrag.") and m.split(".")[1] not in ("runtime", "cli", "commands")]
assert not others, others
for absent in ("torch", "onnx"):
    assert importlib.util.find_spec(absent) is None, absent
print(len(names))
"""
    assert int(run(f".venv/bin/python -c '{script}'".replace("'\n", "'\n"), clone)) > 15


def test_the_usage_example_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cat: np.ndarray) -> None:
    edgedrag.save_picture(tmp_path / "photo.jpg", edgedrag.load_picture(cat))
    monkeypatch.chdir(tmp_path)
    example = re.search(r"^## Use\n.*?```python\n(.*?)```", README, re.S | re.M)
    assert example is not None
    exec(example.group(1), {})
    assert edgedrag.load_picture(tmp_path / "out.png").pixels.shape == cat.shape


def test_a_built_wheel_carries_its_data(clone: Path) -> None:
    run(f"{sys.executable} -m build --wheel --outdir dist .", clone)
    wheel = next((clone / "dist").glob("*.whl"))
    run(f".venv/bin/pip install --quiet --no-deps --target wheel {wheel}", clone)
    script = """
import pathlib, sys
sys.path.insert(0, "wheel")
import edgedrag
from edgedrag.runtime.bundle.manifest import open_bundle
here = pathlib.Path("wheel").resolve()
assert here in pathlib.Path(edgedrag.__file__).resolve().parents
bundle = open_bundle("embedded")
assert here in bundle.folder.resolve().parents
edgedrag.open()
root = pathlib.Path(edgedrag.__file__).parent
for name in ("py.typed", "runtime/bundle/bundle.schema.json", "generator/data/split.tsv",
             "generator/configs/teacher.json",
             "benchmarks/latency/devices.json",
             "benchmarks/latency/pointer_trace.json", "benchmarks/latency/probes/conv.int8.onnx",
             "studio/static/index.html", "studio/static/i18n/ja.json"):
    assert (root / name).stat().st_size >= 0, name
"""
    (clone / "check_wheel.py").write_text(script)
    run(".venv/bin/python check_wheel.py", clone)
    bundle = sum(file.stat().st_size for file in (REPOSITORY / "runtime/bundles").rglob("*") if file.is_file())
    installed = sum(file.stat().st_size for file in (clone / "wheel/edgedrag").rglob("*") if file.suffix != ".pyc")
    assert max(wheel.stat().st_size, installed) <= bundle + 5e6, "the shipped bundle, and 5 MB for all else"
    assert not [*(clone / "wheel").rglob("*.safetensors")], "checkpoints are the clone's"


def test_latency_is_measured_with_an_engine_alone(clone: Path) -> None:
    run(".venv/bin/edgedrag bench latency --seconds 1 --sizes 256 --peers unsplit,torch -o latency", clone)
    report = json.loads((clone / "latency.json").read_text())
    assert report["complete"] and report["runs"][0]["drag"]["n"] > 0
    assert "torch" in report["peers"]["absent"]["torch"] and "unsplit" in report["peers"]["rows"]
    assert "extra [report]" in (clone / "latency.html").read_text(), "for the plots"


def test_ci_runs_the_readmes_test_command() -> None:
    assert (REPOSITORY / ".ci" / "run").read_text().endswith("\n" + commands("Test"))
