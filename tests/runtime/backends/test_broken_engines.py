"""Packages of engines that are broken, foreign or half removed: real ones on the path, in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import EXAMPLES, has_gpu

from edgedrag.runtime.backends.registry import PACKAGES

CAT = EXAMPLES / "chelsea.png"
DRAG = ["--drag", "265,240:245,250"]
has_openvino = importlib.util.find_spec("openvino") is not None

# What importing it does, and a word of the reason.
FAULTS = {
    "a library's own error": ("raise RuntimeError('driver of another version')", "RuntimeError: driver of another"),
    "a missing import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "a shared library that is none": ("from . import native", "ImportError"),
    "a shared library that is not there": ("import ctypes; ctypes.CDLL('libnone.so.7')", "OSError: libnone.so.7"),
    "another package of that name, or the folder that an uninstall left": ("", "AttributeError"),
    "a programming error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "a page of text": (
        "raise ImportError('numpy was built for another ABI\\n\\n' + 'Try this.\\n' * 999)",
        "another ABI",
    ),
    "source of another Python": ("match = = 1", "SyntaxError"),
}


def install(site: Path, module: str, source: str) -> None:
    """Put a broken package on a path, with the metadata that an installer writes."""
    folder = site / module
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source)
    (folder / "native.abi3.so").write_bytes(b"\x7fELF of another machine")
    info = site / f"{module}-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 9.9\n")


def run(site: Path, *command: str | Path, libraries: Path | None = None) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if libraries is not None:
        env["LD_LIBRARY_PATH"] = str(libraries)
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, env=env, timeout=300)


def edgedrag(site: Path, *args: str | Path, libraries: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run(site, "-m", "edgedrag", *args, libraries=libraries)


# Opens the shipped bundle; with a GPU that only the driver's finder speaks of, so that what comes after it is met.
OPEN = """
import json, sys
from edgedrag.runtime.backends import registry
from edgedrag.runtime.backends.device import cuda
if sys.argv[1] == "gpu":
    registry.find_gpu = cuda.find_gpu = lambda index=0: cuda.Gpu("NVIDIA RTX A4000", "sm_86", "13.0")
import edgedrag
runtime = edgedrag.open()
print(json.dumps([runtime.backend.name, {step.backend: [step.code, step.reason] for step in runtime.fallback}]))
"""


def opened(site: Path, gpu: bool) -> tuple[str, dict[str, tuple[str, str]]]:
    """The engine that "auto" takes in a process of its own, and code and reason of each step before it."""
    done = run(site, "-c", OPEN, "gpu" if gpu else "no gpu")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("backend", ["cpu", "openvino"])
def test_a_named_backend_that_is_broken_is_one_sentence(tmp_path: Path, backend: str, fault: str) -> None:
    source, words = FAULTS[fault]
    install(tmp_path / "site", PACKAGES[backend][0], source)
    done = edgedrag(tmp_path / "site", "drag", CAT, *DRAG, "--backend", backend, "-o", tmp_path / "out.png")
    assert done.returncode == 3, done.stderr
    assert words in done.stderr and "does not load" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and len(done.stderr) < 700
    assert not done.stdout and not (tmp_path / "out.png").exists()


@pytest.mark.skipif(not has_openvino, reason="OpenVINO is not installed here")
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_auto_goes_on_to_the_next_engine(tmp_path: Path, fault: str) -> None:
    source, words = FAULTS[fault]
    install(tmp_path / "site", "onnxruntime", source)
    chosen, steps = opened(tmp_path / "site", gpu=False)
    code, reason = steps["cpu"]
    assert chosen == "openvino" and code == "load-failed" and words in reason


@pytest.mark.skipif(not has_openvino, reason="OpenVINO is not installed here")
def test_the_step_is_in_a_drags_report(tmp_path: Path) -> None:
    install(tmp_path / "site", "onnxruntime", "raise RuntimeError('driver of another version')")
    done = edgedrag(tmp_path / "site", "drag", CAT, *DRAG, "-o", tmp_path / "out.png", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    step = next(step for step in report["fallback"] if step["backend"] == "cpu")
    assert report["backend"] == "openvino" and report["outside_exact"]
    assert step["code"] == "load-failed" and "driver of another version" in step["reason"]
    assert done.stderr.count("not on cpu (load-failed)") == 1 and "Traceback" not in done.stderr


def test_where_every_engine_is_broken_the_reasons_are_listed(tmp_path: Path) -> None:
    for module in ("onnxruntime", "openvino"):
        install(tmp_path / "site", module, f"raise RuntimeError('{module} is broken')")
    done = edgedrag(tmp_path / "site", "drag", CAT, *DRAG, "-o", tmp_path / "out.png")
    assert done.returncode == 3 and done.stderr.startswith("error: no usable engine") and done.stderr.count("\n") == 1
    assert "onnxruntime is broken" in done.stderr and "openvino is broken" in done.stderr
    doctor = edgedrag(tmp_path / "site", "doctor", "--json")
    assert doctor.returncode == 3, doctor.stderr
    facts = json.loads(doctor.stdout)
    assert facts["chosen"] is None and "onnxruntime is broken" in facts["bundle"]["reason"]


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("library", ["tensorrt-rtx", "tensorrt"])
def test_auto_passes_a_broken_tensorrt(tmp_path: Path, library: str, fault: str) -> None:
    source, words = FAULTS[fault]
    install(tmp_path / "site", PACKAGES[library][0], source)
    (tmp_path / "site" / "cuda").mkdir()  # no bindings of CUDA either: nothing may ask a device that is not there
    (tmp_path / "site" / "cuda" / "__init__.py").write_text("")
    chosen, steps = opened(tmp_path / "site", gpu=True)
    code, reason = steps[library]
    assert chosen == "cpu" and len(reason) < 600
    if source:
        assert code == "load-failed" and words.split(": ")[-1] in reason
    else:
        assert code == "not-installed", "nothing is amiss before CUDA's bindings are asked for"


@pytest.mark.skipif(sys.platform != "linux" or has_gpu(), reason="needs Linux without a GPU")
def test_a_driver_that_is_another_library(tmp_path: Path) -> None:
    """It loads, and has none of the driver's functions."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "site").mkdir()
    source = tmp_path / "empty.c"
    source.write_text("int nothing;\n")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    subprocess.run(["cc", "-shared", "-o", tmp_path / "lib" / "libcuda.so.1", source], check=True)
    done = edgedrag(tmp_path / "site", "doctor", "--json", libraries=tmp_path / "lib")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["chosen"] == "cpu"
    reasons = {engine["name"]: (engine["code"], engine["reason"]) for engine in facts["engines"]}
    for name, (code, reason) in reasons.items():
        if name in ("tensorrt-rtx", "tensorrt", "cuda") and code != "not-installed":
            assert code == "no-driver" and "AttributeError" in reason
    named = edgedrag(tmp_path / "site", "drag", CAT, *DRAG, "--backend", "cuda", libraries=tmp_path / "lib")
    assert named.returncode == 3 and "Traceback" not in named.stderr
