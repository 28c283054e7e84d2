"""NVIDIA's Python bindings of a TensorRT version, imported on a machine without TensorRT, a GPU or a driver.

`tensorrt-cu12-bindings` holds the binding module alone. It links against a few C functions of the library, which does
not install everywhere: a stub library with those functions lets it import, with every class, method and enumeration to
look at; nothing of it can be called. `tensorrt-lean-cu12` is a runtime without a builder and comes with its library.

Wheels are downloaded once, with pip, into the user's cache.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType

LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
LINKED = re.compile(rb"\0((?:createInfer|createNv|getBuilder|getNv|getPlugin|getLogger|getInfer|initLib)\w*)(?=\0)")
LIMIT_S = 300  # of one download; the largest wheel has 47 MB


class Unavailable(Exception):
    """The bindings cannot be had here; says why."""


def fetch(*requirements: str) -> list[Path]:
    """The wheels of exact requirements, "NAME==VERSION". Raises Unavailable without network or where there are none."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    kept = Path(caches) / "edgedrag" / "test-wheels" / python
    kept.mkdir(parents=True, exist_ok=True)
    return [_find(kept, requirement) or _download(kept, requirement) for requirement in requirements]


def _find(folder: Path, requirement: str) -> Path | None:
    name, version = requirement.split("==")
    return next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


def _download(folder: Path, requirement: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        try:
            done = subprocess.run(
                [*command, "--dest", aside, requirement], capture_output=True, text=True, timeout=LIMIT_S
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"pip did not download {requirement} in {LIMIT_S} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["pip said nothing"]
            raise Unavailable(
                f"{requirement} cannot be downloaded here (no network, or none for this Python): {said[-1]}"
            )
        wheel = next(Path(aside).glob("*.whl"))
        return Path(shutil.move(wheel, folder / wheel.name))


def import_bindings(wheel: Path, folder: Path) -> ModuleType:
    """The full bindings, on stub libraries that are made in `folder`; one version a process."""
    _unpack(wheel, folder)
    binding = next(folder.glob("tensorrt_bindings/tensorrt.so"))
    linked = sorted({name.decode() for name in LINKED.findall(binding.read_bytes())})
    source = folder / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in linked))
    major = wheel.name.split("-")[1].split(".")[0]
    for name in LIBRARIES:
        made = folder / f"lib{name}.so.{major}"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise Unavailable("no C compiler for the stub library")
        subprocess.run(
            [compiler, "-shared", "-fPIC", f"-Wl,-soname,{made.name}", "-o", str(made), str(source)], check=True
        )
        ctypes.CDLL(str(made), ctypes.RTLD_GLOBAL)
    module = importlib.import_module("tensorrt_bindings")
    sys.modules["tensorrt"] = module  # as NVIDIA's package `tensorrt` does: it is an alias of the bindings
    return module


def import_lean(wheels: list[Path], folder: Path) -> ModuleType:
    """The lean runtime with its own library."""
    for wheel in wheels:
        _unpack(wheel, folder)
    return importlib.import_module("tensorrt_lean_bindings")


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
